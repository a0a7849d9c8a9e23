"""Maps to tokens and back, and windows of a token grid.

Shape letters: B batch, C channels, H x W grid, h x w window, K windows of an image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = [
    'map_to_tokens',
    'masked_mean',
    'merge_windows',
    'split_windows',
    'tokens_to_map',
    'window_mask',
]


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the real tokens, (B, D); zero where there is none."""
    total = tokens.masked_fill(~mask[..., None], 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)


def map_to_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C), rows first."""
    return x.flatten(2).transpose(1, 2)


def tokens_to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, H W, C) to (B, C, H, W)."""
    return x.transpose(1, 2).unflatten(2, grid)


def split_windows(x: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Cut a token grid into h x w windows, zero-padded at the right and bottom.

    Args:
        x: Tokens, (B, H W, C).
        grid: (H, W).
        window: (h, w).

    Returns:
        Windows as a larger batch, (B K, h w, C), those of one image together.
    """
    height, width = grid
    (h, w), rows, columns = window, *_counts(grid, window)
    x = x.unflatten(1, grid)
    x = F.pad(x, (0, 0, 0, columns * w - width, 0, rows * h - height))
    x = x.unflatten(2, (columns, w)).unflatten(1, (rows, h))
    return x.transpose(2, 3).reshape(-1, h * w, x.shape[-1])


def merge_windows(x: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Undo :func:`split_windows`: (B K, h w, C) to (B, H W, C)."""
    height, width = grid
    (h, w), rows, columns = window, *_counts(grid, window)
    x = x.reshape(-1, rows, columns, h, w, x.shape[-1]).transpose(2, 3)
    x = x.reshape(-1, rows * h, columns * w, x.shape[-1])
    return x[:, :height, :width].flatten(1, 2)


def window_mask(
    mask: Tensor | None,
    batch: int,
    grid: tuple[int, int],
    window: tuple[int, int],
    device: torch.device,
) -> Tensor | None:
    """Real tokens of the windows, (B K, h w); None if there is no padding at all."""
    if mask is None:
        if grid[0] % window[0] == 0 and grid[1] % window[1] == 0:
            return None
        mask = torch.ones(batch, grid[0] * grid[1], dtype=torch.bool, device=device)
    # As numbers, because padding a bool tensor is not supported everywhere.
    return split_windows(mask[..., None].to(torch.uint8), grid, window)[..., 0].bool()


def _counts(grid: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """Windows down and across."""
    return math.ceil(grid[0] / window[0]), math.ceil(grid[1] / window[1])
