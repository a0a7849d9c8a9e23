"""ActNorm: a scale and a shift per channel, set once from the first batch.

    y = x * exp(a) + b,   ln|det dy/dx| = N * sum_c a_c

The first training batch that can, sets a and b so that every channel of y has mean 0
and variance 1; from then on they are ordinary parameters. The flag that says so is a
buffer filled in place: it is saved, loaded and moved with the module, so that a
resumed run does not initialise again.

A batch can start it if it is finite, has ``min_tokens`` real tokens, and its channels
spread by more than rounding: black frames or padding alone must not. A channel that is
(nearly) constant in it is amplified as one of a hundredth of the median spread would be,
so that one dead channel neither waits for ever nor explodes when it wakes.

Source:
    Kingma & Dhariwal, Glow, NeurIPS 2018, https://arxiv.org/abs/1807.03039, Section 3.1.
Differs from it:
    the statistics are those of all processes of a distributed run together, and
    leave out padded tokens; before initialisation, eval mode is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection

__all__ = ['ActNorm']

MIN_SHARE = 0.01  # of the median spread: what a channel counts for at least


class ActNorm(Bijection):
    """Activation normalisation per channel with data-dependent initialisation.

    Args:
        dim: Channels D of every token.
        min_std: Floor of a channel's standard deviation at initialisation, beside a
            hundredth of the channels' median.
        min_tokens: Real tokens, over all samples and processes, that a batch needs to
            start the layer; with fewer it stays the identity and waits.

    Example:
        >>> layer = ActNorm(dim=4)
        >>> y, _ = layer(5 + 3 * torch.randn(8, 16, 4))
        >>> bool(layer.initialised), round(float(y.std()), 1)
        (True, 1.0)
    """

    initialised: Tensor

    def __init__(self, dim: int, *, min_std: float = 1e-3, min_tokens: int = 8) -> None:
        super().__init__()
        self.min_std, self.min_tokens = min_std, min_tokens
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer('initialised', torch.tensor(False))
        self._seen_initialised = False  # spares a look at the device in every pass

    def reset_parameters(self) -> None:
        self.log_scale.data.zero_()
        self.bias.data.zero_()
        self.initialised.fill_(False)
        self._seen_initialised = False

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen_initialised = False

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.training and not self._seen_initialised:
            if not self.initialised:
                self._initialise(x.detach(), mask)
            self._seen_initialised = bool(self.initialised)
        y = x * self.log_scale.exp() + self.bias
        return self._keep_padding(y, x, mask), self._terms(x, mask)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        x = (y - self.bias) * (-self.log_scale).exp()
        return self._keep_padding(x, y, mask), -self._terms(y, mask)

    @staticmethod
    def _keep_padding(mapped: Tensor, original: Tensor, mask: Tensor | None) -> Tensor:
        return mapped if mask is None else torch.where(mask[..., None], mapped, original)

    def _terms(self, x: Tensor, mask: Tensor | None) -> Tensor:
        total = self.log_scale.sum()
        return total.expand(x.shape[:2]) if mask is None else mask * total

    @torch.no_grad()
    def _initialise(self, x: Tensor, mask: Tensor | None) -> None:
        real = x.flatten(0, 1) if mask is None else x[mask]
        # float64, because E[x^2] - E[x]^2 cancels where the mean dominates.
        real = real.double()
        moments = torch.stack(
            [torch.full_like(self.bias, len(real)).double(), real.sum(0), real.square().sum(0)]
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(moments)
        if not moments.isfinite().all():
            return  # one broken batch would spoil a and b for good: the next one sets them
        count = moments[0].clamp(min=1)
        mean = moments[1] / count
        std = (moments[2] / count - mean.square()).clamp(min=0).sqrt()
        # What float32 tokens of one value would show, and float64's cancellation of squares.
        rounding = mean.abs() * torch.finfo(self.bias.dtype).eps * 8 + 1e-12
        typical = std.quantile(0.5)
        if moments[0, 0] < self.min_tokens or typical <= rounding.quantile(0.5):
            return  # nothing to learn a scale from
        std = std.clamp(min=max(self.min_std, MIN_SHARE * float(typical)))
        self.log_scale.data.copy_(-std.log())
        self.bias.data.copy_(-mean / std)
        self.initialised.fill_(True)
