"""How the tokens of several modalities lie in one sequence, whole or in windows.

Shape letters: B batch, N_m tokens of modality m, D channels, K windows of an image.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from mango_mm.fusion.tokens import merge_windows, split_windows, window_mask

__all__ = ['TokenLayout']

Grid = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class TokenLayout:
    """[tokens of modality 1, of modality 2, ...], one sequence per image or per window.

    Attributes:
        modalities: Their names, in token order.
        lengths: Tokens of each in one sequence.
        window: Height and width of the windows that a token grid is cut into; None: no windows.
    """

    modalities: tuple[str, ...]
    lengths: tuple[int, ...]
    window: Grid | None = None

    @classmethod
    def build(
        cls,
        modalities: Sequence[str],
        num_tokens: int | Sequence[int] | None,
        window: int | Sequence[int] | None,
    ) -> TokenLayout:
        """A layout from what a config says.

        Args:
            modalities: Their names.
            num_tokens: One number for all, or one each; None with ``window``.
            window: Side, or height and width; None with ``num_tokens``.

        Raises:
            ValueError: If neither or both are given, or a size is not positive.
        """
        if (num_tokens is None) == (window is None):
            raise ValueError(
                'give either num_tokens (a fixed size) or window (any size of token grid); '
                f'got num_tokens={num_tokens} and window={window}.'
            )
        size: Grid | None = None
        if window is not None:
            size = (window, window) if isinstance(window, int) else (window[0], window[1])
            num_tokens = size[0] * size[1]
        count = len(modalities)
        lengths = (num_tokens,) * count if isinstance(num_tokens, int) else tuple(num_tokens or ())
        if len(lengths) != count or min(lengths) < 1:
            raise ValueError(
                f'num_tokens must be positive, for each of {tuple(modalities)}; got {num_tokens}.'
            )
        return cls(tuple(modalities), lengths, size)

    def pack(
        self, tokens: Sequence[Tensor], mask: Tensor | None = None, grid: Grid | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens of all modalities in one sequence, and their mask.

        Args:
            tokens: (B, N_m, D) of each modality.
            mask: Real tokens of all modalities, (B, sum N_m); None: all.
            grid: Height and width in tokens; needed by windows.

        Returns:
            (B, N, D), or with windows (B K, N, D), those of one image together; and the mask.

        Raises:
            ValueError: If the tokens do not fit.
        """
        given = [x.shape[1] for x in tokens]
        if self.window is None:
            if tuple(given) != self.lengths:
                raise ValueError(
                    f'this MangoFusion was built for {self.lengths} tokens of {self.modalities}; '
                    f'got {tuple(given)}. Resize the input, or build it with window=...'
                )
            return torch.cat(list(tokens), dim=1), mask
        if grid is None or any(n != grid[0] * grid[1] for n in given):
            raise ValueError(
                'windows need grid=(height, width) with height * width tokens of each modality; '
                f'got grid {grid} and {given} tokens.'
            )
        parts: Sequence[Tensor | None] = (
            [None] * len(given) if mask is None else mask.split(given, dim=1)
        )
        if self.window[0] > grid[0] or self.window[1] > grid[1]:
            warnings.warn(
                f'windows of {self.window[0]} x {self.window[1]} are larger than the token grid, '
                f'{grid[0]} x {grid[1]}: {self.window[0] * self.window[1]} places of each modality '
                f'are computed and at most {grid[0] * grid[1]} hold a token. Set window={grid}.',
                stacklevel=4,
            )
        batch, device = tokens[0].shape[0], tokens[0].device
        cut = [window_mask(part, batch, grid, self.window, device) for part in parts]
        real = [m for m in cut if m is not None]
        windows = [split_windows(x, grid, self.window) for x in tokens]
        return torch.cat(windows, dim=1), torch.cat(real, dim=1) if real else None

    def unpack(self, x: Tensor, grid: Grid | None = None) -> list[Tensor]:
        """Undo :meth:`pack`: (B, N_m, C) of each modality."""
        parts = list(x.split(self.lengths, dim=1))
        if self.window is None or grid is None:
            return parts
        return [merge_windows(part, grid, self.window) for part in parts]

    def split_mask(self, joint: Tensor | None) -> list[Tensor] | None:
        """The mask of each modality, (B, N_m), out of the joint one before packing."""
        if joint is None:
            return None
        each = joint.shape[1] // len(self.modalities)
        lengths = self.lengths if self.window is None else (each,) * len(self.modalities)
        return list(joint.split(lengths, dim=1))
