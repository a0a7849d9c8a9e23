"""Reduction: how the tokens of M modalities become one feature.

concat      W [z_1; ...; z_M] at every position      equal token counts
sum         W (z_1 + ... + z_M) at every position    equal token counts
sequence    W z for every token of every modality    any token counts
embed       W [z_1; ...; z_M] + conv([z_1; ...])     maps of one size

``embed`` lets a position see its neighbours: conv is 1 x 1, depthwise 3 x 3, GELU, 1 x 1, as
in the channel embedding of CMX (https://arxiv.org/abs/2203.04838), without its normalisation.
A flow in windows meets its neighbours nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import require_grid
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map

__all__ = ['Reduction']

HOW = ('concat', 'sum', 'sequence', 'embed')


class Reduction(nn.Module):
    """Merges per-modality tokens, the last step of a fusion.

    Args:
        num_modalities: M.
        dim: Channels D of the tokens.
        out_dim: Channels E of the result.
        how: ``'concat'``, ``'sum'``, ``'sequence'`` or ``'embed'``.

    Raises:
        ValueError: If ``how`` is unknown.

    Example:
        >>> reduce = Reduction(2, dim=4, out_dim=6)
        >>> reduce([torch.randn(1, 5, 4), torch.randn(1, 5, 4)])[0].shape
        torch.Size([1, 5, 6])
    """

    def __init__(self, num_modalities: int, dim: int, out_dim: int, how: str = 'concat') -> None:
        super().__init__()
        if how not in HOW:
            raise ValueError(f'reduction must be one of {HOW}; got {how!r}.')
        self.how = how
        width = num_modalities * dim if how in ('concat', 'embed') else dim
        self.project = nn.Linear(width, out_dim)
        if how == 'embed':
            self.embed = nn.Sequential(
                nn.Conv2d(width, out_dim, 1),
                nn.Conv2d(out_dim, out_dim, 3, padding=1, groups=out_dim),
                nn.GELU(),
                nn.Conv2d(out_dim, out_dim, 1),
            )

    def forward(
        self,
        tokens: Sequence[Tensor],
        masks: Sequence[Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The feature, (B, N, E), and its mask, (B, N) or None.

        Args:
            tokens: (B, N_m, D) of each modality; what a mask leaves out may hold anything.
            masks: Real tokens, bool (B, N_m) of each; a position is real if one of them is.
            grid: (height, width) of the maps, of ``embed``.

        Raises:
            ValueError: If positions have to match and the token counts differ, or ``embed``
                has no grid.
        """
        if masks is not None:  # where one modality is real, the others' padding is not seen
            tokens = [x.masked_fill(~m[..., None], 0.0) for x, m in zip(tokens, masks)]
        if self.how == 'sequence':
            mask = None if masks is None else torch.cat(list(masks), dim=1)
            return self.project(torch.cat(list(tokens), dim=1)), mask
        lengths = [int(x.shape[1]) for x in tokens]  # while tracing, a size is a tensor
        if len(set(lengths)) > 1:
            raise ValueError(
                f'reduction={self.how!r} needs as many tokens of each modality; got {lengths}. '
                "Use reduction='sequence'."
            )
        joint = (
            torch.stack(list(tokens)).sum(dim=0)
            if self.how == 'sum'
            else torch.cat(list(tokens), dim=2)
        )
        mask = None if masks is None else torch.stack(list(masks)).any(dim=0)
        if self.how != 'embed':
            return self.project(joint), mask
        size = require_grid("reduction='embed'", grid)
        return self.project(joint) + map_to_tokens(self.embed(tokens_to_map(joint, size))), mask
