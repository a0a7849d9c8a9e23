"""Affine coupling: one half of the channels scales and shifts the other half.

    a, b = the two halves of a token's channels
    y_a = x_a,   y_b = x_b * exp(s(x_a)) + t(x_a)
    ln|det dy/dx| = sum of s over tokens and channels

s and t come from one perceptron applied to every token alike, which need not be
invertible. Its last layer starts at zero: the layer starts as the identity. In
MANGO this is the layer that mixes channels; ICA mixes positions only.

Source:
    Dinh et al., RealNVP, ICLR 2017, https://arxiv.org/abs/1605.08803, Eq. 7-8; the last
    layer of a MANGO block (https://arxiv.org/abs/2508.10133, Section 3.3).
Differs from them:
    s is soft-clamped by c tanh(s / c), as in FrEIA and others, so that a stack of
    couplings cannot overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection

__all__ = ['AffineCoupling', 'ChannelHalves', 'scale_and_shift', 'undo_scale_and_shift']


def scale_and_shift(
    x: Tensor, raw: Tensor, clamp: float, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """x * exp(s) + t with (s, t) from ``raw``, (B, n, 2 C), and the sum of s, (B,)."""
    log_scale, shift = _unpack(raw, clamp, mask)
    return x * log_scale.exp() + shift, log_scale.sum(dim=2)


def undo_scale_and_shift(
    y: Tensor, raw: Tensor, clamp: float, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`scale_and_shift` and minus the sum of s."""
    log_scale, shift = _unpack(raw, clamp, mask)
    return (y - shift) * (-log_scale).exp(), -log_scale.sum(dim=2)


def _unpack(raw: Tensor, clamp: float, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    log_scale, shift = raw.chunk(2, dim=-1)
    log_scale = clamp * torch.tanh(log_scale / clamp)
    if mask is None:
        return log_scale, shift
    real = mask[..., None]
    return torch.where(real, log_scale, 0.0), torch.where(real, shift, 0.0)


class ChannelHalves:
    """The channels of a token that condition, and those that move.

    Args:
        dim: Channels D, at least 2; of an odd number the first half has one more.
        swap: Let the second half condition and the first move.

    Raises:
        ValueError: If ``dim`` is below 2.
    """

    def __init__(self, dim: int, *, swap: bool = False) -> None:
        if dim < 2:
            raise ValueError(f'a coupling over channels needs at least 2 of them; got {dim}.')
        self.first, self.swap = (dim + 1) // 2, swap
        self.fixed = dim - self.first if swap else self.first

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Conditioning and moved channels of (..., D)."""
        first, second = x[..., : self.first], x[..., self.first :]
        return (second, first) if self.swap else (first, second)

    def merge(self, fixed: Tensor, moved: Tensor) -> Tensor:
        """The whole that was split."""
        return torch.cat([moved, fixed] if self.swap else [fixed, moved], dim=-1)


class AffineCoupling(Bijection):
    """RealNVP coupling over the channels of each token.

    Args:
        dim: Channels D of every token, at least 2; of an odd number the first
            half has one more.
        hidden_dim: Width of the perceptron; None: 2 D.
        swap: Let the second half condition and the first move.
        clamp: Bound of |s|, approached smoothly.

    Raises:
        ValueError: If ``dim`` is below 2.

    Example:
        >>> layer = AffineCoupling(dim=4)
        >>> x = torch.randn(2, 3, 4)
        >>> bool((layer(x)[0] == x).all())  # starts as the identity
        True
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden_dim: int | None = None,
        swap: bool = False,
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        self.halves = ChannelHalves(dim, swap=swap)
        self.clamp = clamp
        conditioning = self.halves.fixed
        hidden_dim = hidden_dim or 2 * dim
        self.conditioner = nn.Sequential(
            nn.Linear(conditioning, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, 2 * (dim - conditioning)),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        last = self.conditioner[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved = self.halves.split(x)
        y, terms = scale_and_shift(moved, self.conditioner(fixed), self.clamp, mask)
        return self.halves.merge(fixed, y), terms

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved = self.halves.split(y)
        x, terms = undo_scale_and_shift(moved, self.conditioner(fixed), self.clamp, mask)
        return self.halves.merge(fixed, x), terms
