"""The contract of every invertible layer: two maps, and whose the volume change is.

A log-determinant of ours is a sum of terms that belong to positions:

    ICA                 d * sum_h ln(1 + g_h P^h_ii)      of the moved token i
    couplings           sum over channels of s_i          of the moved token i
    ActNorm, Glow       the same for every token
    token mixing, LICA  D ln s_i, or ICA's term           of the mixed position i

and so is ln N(z; 0, I), so that ln p(x) = sum_i c_i, exactly. What c_i is and is not: where
nothing mixes positions, it is the term of token i in the chain rule of the layers' triangular
maps, given the tokens that condition it; it is no marginal likelihood of the token. Where
positions are mixed (``mixes_positions``), a mixed position counts for the token of the same index,
of which it started as a copy: there the assignment is an **approximation**, the sum is exact still.

Shape letters: B batch, N tokens, D channels.
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from mango_mm.flows.tracing import is_compiling

__all__ = ['Bijection', 'mixes_positions', 'reset_tree']

Mapped = tuple[Tensor, Tensor]


class Bijection(nn.Module, abc.ABC):
    """An invertible map on token tensors that knows its own volume change, token by token.

    A subclass implements :meth:`transform` and :meth:`inverse_transform`; concrete subclasses are
    final. This class alone checks what comes in, leaves autocast and sums the terms.

    Tokens are float32 or float64, of the layer's own precision; half precision is cast to
    float32, whatever autocast says. A half-precision conditioner is piecewise constant: a
    perturbation of 1e-7 flips a rounding, and the inverse then divides by another matrix than the
    forward multiplied with (errors of 1e-4 to 5e-3 after 96 layers, where float32 gives 1e-6).

    ``mask`` marks the real tokens. A padded token is returned as it came, adds
    nothing to the log-determinant and has no influence on any real token.
    """

    mixes_positions = False  # whether the terms' assignment to tokens is an approximation

    @abc.abstractmethod
    def transform(self, x: Tensor, mask: Tensor | None) -> Mapped:
        """Map data towards the latent; called without autocast, on checked input.

        Args:
            x: Tokens, (B, N, D).
            mask: True where a token is real, bool (B, N); None: all are.

        Returns:
            y: Mapped tokens, (B, N, D); padded ones as they came.
            terms: What each token adds to ln|det dy/dx|, in nats, (B, N); 0 for padding.
        """

    @abc.abstractmethod
    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> Mapped:
        """Map the latent back to data; arguments as of :meth:`transform`.

        Returns:
            x: Tokens, (B, N, D), with ``transform(x)[0] == y`` up to rounding.
            terms: Of ln|det dx/dy|, (B, N): minus what ``transform(x)`` gives.
        """

    def forward(self, x: Tensor, *, mask: Tensor | None = None, terms: bool = False) -> Mapped:
        """Map data towards the latent.

        Args:
            x: Tokens, (B, N, D).
            mask: True where a token is real, bool (B, N); None: all are.
            terms: Return the terms of every token in the place of their sum.

        Returns:
            y: Mapped tokens, (B, N, D).
            log_det: ln|det dy/dx| in nats, summed over N and D, (B,); with ``terms`` (B, N).

        Raises:
            ValueError: If the tokens are not (B, N, D), or the mask is not bool (B, N).
            TypeError: If the tokens are not of the layer's precision.
        """
        return self._exactly(self.transform, x, mask, terms=terms)

    def inverse(self, y: Tensor, *, mask: Tensor | None = None, terms: bool = False) -> Mapped:
        """Map the latent back to data; arguments and errors as of :meth:`forward`.

        Returns:
            x: Tokens, (B, N, D), with ``forward(x)[0] == y`` up to rounding.
            log_det: ln|det dx/dy| in nats, (B,): minus what ``forward(x)`` gives.
        """
        return self._exactly(self.inverse_transform, y, mask, terms=terms)

    def reset_parameters(self) -> None:
        """Put this layer's own parameters (not its children's) back to their start."""

    def _exactly(self, method: object, x: Tensor, mask: Tensor | None, *, terms: bool) -> Mapped:
        """The one way in: cast, check, leave autocast, sum."""
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        if not is_compiling():
            self._check(x, mask)
        with torch.autocast(device_type=x.device.type, enabled=False):
            mapped, of_tokens = method(x, mask)  # type: ignore[operator]  # transform or its inverse
            return mapped, of_tokens if terms else of_tokens.sum(dim=1)

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        name = type(self).__name__
        if x.dim() != 3:
            raise ValueError(f'{name} maps tokens (B, N, D); got {tuple(x.shape)}.')
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
            raise ValueError(
                f'{name} needs a bool mask {tuple(x.shape[:2])} for tokens {tuple(x.shape)}; '
                f'got {mask.dtype} {tuple(mask.shape)}.'
            )
        own = next(self.parameters(), None)
        if own is not None and x.dtype != own.dtype and own.is_floating_point():
            raise TypeError(
                f'{name} is in {own.dtype} and maps tokens of that type (half precision is cast); '
                f'got {x.dtype}. Call .to({own.dtype}) on the tokens, or .to({x.dtype}) on the '
                'layer.'
            )


def mixes_positions(bijection: Bijection) -> bool:
    """Whether some layer mixes positions, so that the terms' assignment is an approximation."""
    return any(getattr(m, 'mixes_positions', False) for m in bijection.modules())


def reset_tree(module: nn.Module) -> None:
    """Call every ``reset_parameters`` in ``module``, children before parents.

    A parent that starts one of its linear layers at zero thereby has the last word.
    """
    for child in module.children():
        reset_tree(child)
    reset = getattr(module, 'reset_parameters', None)
    if callable(reset):
        with torch.no_grad():
            reset()
