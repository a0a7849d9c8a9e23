"""Bijections made of bijections: one after the other, backwards, and around.

    Chain(f, g, h)      x -> h(g(f(x)))        log-determinants add up
    Inverse(f)          x -> f^-1(x)
    Sandwich(w, f)      x -> w^-1(f(w(x)))     f in the coordinates of w

If the volume change of ``w`` does not depend on where it is evaluated, as for a
linear map, its two terms in a sandwich cancel exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mango_mm.flows.bijection import Bijection

__all__ = ['Chain', 'Inverse', 'Sandwich']


class Chain(Bijection):
    """The composition of bijections, applied in the order given.

    Args:
        *bijections: The links; none makes the identity.
        with_cp: Recompute every link in the backward pass instead of keeping
            what is inside it (gradient checkpointing): memory for time.

    Example:
        >>> import torch
        >>> from mango_mm.flows import AffineCoupling
        >>> chain = Chain(AffineCoupling(4), AffineCoupling(4, swap=True))
        >>> y, log_det = chain(torch.randn(2, 3, 4))
        >>> y.shape, log_det.shape
        (torch.Size([2, 3, 4]), torch.Size([2]))
    """

    def __init__(self, *bijections: Bijection, with_cp: bool = False) -> None:
        super().__init__()
        for position, bijection in enumerate(bijections):
            if not isinstance(bijection, Bijection):
                raise TypeError(
                    f'Chain must be made of Bijections; got {type(bijection).__name__} '
                    f'at position {position}.'
                )
        self.links = nn.ModuleList(bijections)
        self.with_cp = with_cp

    def __len__(self) -> int:
        return len(self.links)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.links)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(x.shape[:2])
        for link in self.links:
            # Called as modules: FSDP gathers weights, and hooks look, when a link is called.
            if self.with_cp and torch.is_grad_enabled():
                x, terms = checkpoint(link, x, mask=mask, terms=True, use_reentrant=False)
            else:
                x, terms = link(x, mask=mask, terms=True)
            total = total + terms
        return x, total

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        total = y.new_zeros(y.shape[:2])
        for link in reversed(self.links):
            y, terms = link.inverse(y, mask=mask, terms=True)  # type: ignore[operator]  # ModuleList forgets the class
            total = total + terms
        return y, total


class Inverse(Bijection):
    """A bijection with its two directions exchanged."""

    def __init__(self, bijection: Bijection) -> None:
        super().__init__()
        self.bijection = bijection

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.bijection.inverse(x, mask=mask, terms=True)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        mapped: tuple[Tensor, Tensor] = self.bijection(y, mask=mask, terms=True)
        return mapped


class Sandwich(Bijection):
    """``inner`` applied in the coordinates that ``outer`` maps to.

    With a :class:`~mango_mm.flows.TokenLinear` around an ICA on halves this is what
    :class:`~mango_mm.flows.LearnableCrossAttention` computes, which does it in half the time.
    """

    def __init__(self, outer: Bijection, inner: Bijection) -> None:
        super().__init__()
        self.outer = outer
        self.inner = inner

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        mixed, terms_in = self.outer(x, mask=mask, terms=True)
        moved, terms = self.inner(mixed, mask=mask, terms=True)
        y, terms_out = self.outer.inverse(moved, mask=mask, terms=True)
        return y, terms + (terms_in + terms_out)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        mixed, terms_in = self.outer(y, mask=mask, terms=True)
        moved, terms = self.inner.inverse(mixed, mask=mask, terms=True)
        x, terms_out = self.outer.inverse(moved, mask=mask, terms=True)
        return x, terms + (terms_in + terms_out)
