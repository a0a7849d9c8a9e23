"""Tokens for a modality that a sample lacks: those that the flow maps to the centre, z_m = 0.

    z = G(x);  z_free <- 0;  x_free <- G^-1(z)_free,   a number of rounds

A fixed point of it has z_free = 0 beside the observed tokens. Nothing makes the step a
contraction: how far from it the flow was left is the residual, the root mean square of z_free.

Shape letters: B batch, N tokens of all modalities, D channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from mango_mm.flows import Bijection
from mango_mm.fusion.token_layout import Grid, TokenLayout

__all__ = ['Completed', 'complete', 'impute']


@dataclasses.dataclass(frozen=True)
class Completed:
    """Packed tokens of which none is missing.

    Attributes:
        x: Tokens, (B, N, D) as :meth:`TokenLayout.pack` gives them.
        mask: Real tokens, (B, N); what was imputed is real. None: all.
        joint: The mask before packing; None: all are real.
        free: The imputed tokens, bool (B, N, 1); None: there are none.
    """

    x: Tensor
    mask: Tensor | None
    joint: Tensor | None
    free: Tensor | None = None

    def residual(self, z: Tensor) -> Tensor | None:
        """Root mean square of the imputed tokens' latents."""
        if self.free is None:
            return None
        return z.detach()[self.free.expand_as(z)].square().mean().sqrt()


def complete(
    flow: Bijection,
    layout: TokenLayout,
    tokens: Sequence[Tensor],
    joint: Tensor | None,
    grid: Grid | None,
    rounds: int,
) -> Completed:
    """Pack tokens; a modality of which a sample has no token is imputed.

    Args:
        flow: G.
        layout: Of its tokens.
        tokens: (B, N_m, D) of each modality.
        joint: Real tokens, (B, sum N_m); None: all.
        grid: The same as in :meth:`TokenLayout.pack`.
        rounds: Of :func:`impute`; 0 imputes nothing.
    """
    parts = layout.split_mask(joint)
    gone = [~part.any(dim=1, keepdim=True) for part in parts or ()]
    if not rounds or parts is None or not any(bool(g.any()) for g in gone):
        return Completed(*layout.pack(tokens, joint, grid), joint)
    absent = [g.expand(part.shape) for g, part in zip(gone, parts)]
    whole = torch.cat([part | a for part, a in zip(parts, absent)], dim=1)
    blank = [x.masked_fill(a[..., None], 0.0) for x, a in zip(tokens, absent)]
    x, mask = layout.pack(blank, whole, grid)
    # Where the absent tokens lie among the windows: put through them like tokens.
    marks = [a[..., None].to(x.dtype) for a in absent]
    free = layout.pack(marks, None, grid)[0] > 0
    return Completed(impute(flow, x, free, mask, rounds), mask, whole, free)


def impute(
    flow: Bijection, x: Tensor, free: Tensor, mask: Tensor | None = None, rounds: int = 2
) -> Tensor:
    """Tokens for the places marked ``free``, such that the flow maps them to 0.

    Args:
        flow: G.
        x: All tokens, as they enter the flow, (B, N, D).
        free: Those to impute, bool (B, N, 1).
        mask: Real tokens, (B, N).
        rounds: Each passes the flow forth and back, without gradient.

    Returns:
        ``x`` with what was found in the free places. No gradient reaches what is there; that of
        the other tokens is their own.
    """
    found = x.detach()
    with torch.no_grad():
        for _ in range(rounds):
            z, _ = flow(found, mask=mask)
            completed, _ = flow.inverse(z.masked_fill(free, 0.0), mask=mask)
            found = torch.where(free, completed, found)
    return torch.where(free, found, x)
