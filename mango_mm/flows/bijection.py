"""The contract of every invertible layer: two maps, two volume changes.

Shape letters: B batch, N tokens, D channels.
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

__all__ = ['Bijection', 'reset_tree']


class Bijection(nn.Module, abc.ABC):
    """An invertible map on token tensors that knows its own volume change.

    A subclass implements :meth:`forward` and :meth:`inverse`; concrete
    subclasses are final. Both methods return the log-determinant *of the
    direction just evaluated*, so the two are exact opposites of each other.

    Both work in float32 (or float64, if that comes in) even under autocast:
    see :func:`mango_mm.flows.precision.float32_island`.

    ``mask`` marks the real tokens. A padded token is returned as it came, adds
    nothing to the log-determinant and has no influence on any real token.
    """

    @abc.abstractmethod
    def forward(self, x: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data towards the latent.

        Args:
            x: Tokens, (B, N, D).
            mask: True where a token is real, bool (B, N); None: all are.

        Returns:
            y: Mapped tokens, (B, N, D).
            log_det: ln|det dy/dx| in nats, summed over N and D, (B,).
        """

    @abc.abstractmethod
    def inverse(self, y: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the latent back to data.

        Args:
            y: Mapped tokens, (B, N, D).
            mask: As in :meth:`forward`.

        Returns:
            x: Tokens, (B, N, D), with ``forward(x)[0] == y`` up to rounding.
            log_det: ln|det dx/dy| in nats, (B,): minus what ``forward(x)`` gives.
        """

    def reset_parameters(self) -> None:
        """Put this layer's own parameters (not its children's) back to their start."""


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
