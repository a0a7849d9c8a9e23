"""What position-wise fusions need: one token of every modality at every position."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ['align', 'require_grid']


def align(
    name: str, tokens: Sequence[Tensor], joint: Tensor | None
) -> tuple[list[Tensor], list[Tensor] | None]:
    """Tokens with padding set to zero, and their masks, (B, N) each or None.

    Args:
        name: Of the fusion, for the error.
        tokens: (B, N, D) of each modality.
        joint: Their masks side by side, (B, M N), or None.

    Raises:
        ValueError: If the modalities differ in length.
    """
    lengths = [x.shape[1] for x in tokens]
    if len(set(lengths)) > 1:
        raise ValueError(
            f'{name} joins tokens position by position and needs as many of each modality; '
            f'got {lengths}. Pool them first, or take a fusion of sequences.'
        )
    if joint is None:
        return list(tokens), None
    masks = list(joint.split(lengths, dim=1))
    # Padding may hold anything, NaN included.
    return [x.masked_fill(~m[..., None], 0.0) for x, m in zip(tokens, masks)], masks


def require_grid(name: str, grid: tuple[int, int] | None) -> tuple[int, int]:
    """The grid, for fusions that look at neighbouring positions.

    Raises:
        ValueError: If there is none.
    """
    if grid is None:
        raise ValueError(f'{name} works on maps and needs grid=(height, width); got None.')
    return grid
