"""Maps to tokens and back, and windows of a token grid.

Shape letters: B batch, C channels, H x W grid, w window side, K windows of an image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['map_to_tokens', 'merge_windows', 'split_windows', 'tokens_to_map', 'window_mask']


def map_to_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C), rows first."""
    return x.flatten(2).transpose(1, 2)


def tokens_to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, H W, C) to (B, C, H, W)."""
    return x.transpose(1, 2).unflatten(2, grid)


def split_windows(x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """Cut a token grid into w x w windows, zero-padded at the right and bottom.

    Args:
        x: Tokens, (B, H W, C).
        grid: (H, W).
        window: w.

    Returns:
        Windows as a larger batch, (B K, w w, C), those of one image together.
    """
    height, width = grid
    rows, columns = math.ceil(height / window), math.ceil(width / window)
    x = x.unflatten(1, grid)
    x = F.pad(x, (0, 0, 0, columns * window - width, 0, rows * window - height))
    x = x.unflatten(2, (columns, window)).unflatten(1, (rows, window))
    return x.transpose(2, 3).reshape(-1, window * window, x.shape[-1])


def merge_windows(x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """Undo :func:`split_windows`: (B K, w w, C) to (B, H W, C)."""
    height, width = grid
    rows, columns = math.ceil(height / window), math.ceil(width / window)
    x = x.reshape(-1, rows, columns, window, window, x.shape[-1]).transpose(2, 3)
    x = x.reshape(-1, rows * window, columns * window, x.shape[-1])
    return x[:, :height, :width].flatten(1, 2)


def window_mask(
    mask: Tensor | None, batch: int, grid: tuple[int, int], window: int, device: torch.device
) -> Tensor | None:
    """Real tokens of the windows, (B K, w w); None if there is no padding at all."""
    if mask is None:
        if grid[0] % window == 0 and grid[1] % window == 0:
            return None
        mask = torch.ones(batch, grid[0] * grid[1], dtype=torch.bool, device=device)
    # As numbers, because padding a bool tensor is not supported everywhere.
    return split_windows(mask[..., None].to(torch.uint8), grid, window)[..., 0].bool()
