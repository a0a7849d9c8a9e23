"""Another view of the same sample, drawn at random: what a feature is to be invariant to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['RandomView']


class RandomView:
    """Draws a view of a batch of preprocessed inputs, each sample by itself.

    Maps (B, C, H, W) are cropped, resized back to their size, mirrored, and lose a rectangle (set
    to 0, which is the mean); all channels alike, nearest neighbour, so that no depth is invented.
    Texts lose words. Sequences (tokens, mask) lose a run of tokens, and entries. Other features
    (B, ..., D) lose entries.

    Args:
        scale: Smallest share of the area that a crop keeps.
        erase: Largest share of the area, or of the tokens, that is left out.
        drop: Probability that a word or an entry is left out.

    Example:
        >>> view = RandomView()
        >>> view(torch.randn(2, 4, 6, 8)).shape
        torch.Size([2, 4, 6, 8])
        >>> len(view({'text': ['a plot', 'another plot']})['text'])
        2
    """

    def __init__(self, *, scale: float = 0.5, erase: float = 0.2, drop: float = 0.2) -> None:
        self.scale, self.erase, self.drop = scale, erase, drop

    def __call__(self, inputs: Any) -> Any:
        """A view of a tensor, of a list of texts, or of a dict of either."""
        if isinstance(inputs, Mapping):
            return {name: self(x) for name, x in inputs.items()}
        if isinstance(inputs, Tensor):
            return self._map(inputs) if inputs.dim() == 4 else self._entries(inputs)
        if isinstance(inputs, tuple):
            return self._sequence(*inputs)
        return [self._text(text) for text in inputs]

    def _map(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        draw = torch.rand(batch, 8).to(x)
        side = (self.scale + (1 - self.scale) * draw[:, 0]).sqrt()  # of a crop, of 1
        flip = torch.where(draw[:, 1] < 0.5, -1.0, 1.0)
        theta = x.new_zeros(batch, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = side * flip, side
        theta[:, :, 2] = (1 - side)[:, None] * (2 * draw[:, 2:4] - 1)
        grid = F.affine_grid(theta, [batch, 1, height, width], align_corners=False)
        x = F.grid_sample(x, grid, mode='nearest', padding_mode='border', align_corners=False)
        # A rectangle of at most the share, somewhere.
        hole = (self.erase * draw[:, 4]).sqrt() / 2
        rows = (torch.arange(height).to(x) + 0.5) / height
        columns = (torch.arange(width).to(x) + 0.5) / width
        inside = ((rows - draw[:, 5, None]).abs() < hole[:, None])[:, None, :, None]
        inside = inside & ((columns - draw[:, 6, None]).abs() < hole[:, None])[:, None, None, :]
        return x.masked_fill(inside, 0.0)

    def _entries(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x
        return x.masked_fill(torch.rand(x.shape).to(x) < self.drop, 0.0)

    def _sequence(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, C) and which are real, (B, N); one is always left."""
        draw = torch.rand(len(tokens), 2).to(tokens)
        lengths = mask.sum(dim=1).to(tokens)
        hole = (self.erase * draw[:, 0] * lengths).floor()
        start = (draw[:, 1] * (lengths - hole + 1)).floor()
        place = (mask.cumsum(dim=1) - 1).to(tokens)
        hidden = (place >= start[:, None]) & (place < (start + hole)[:, None])
        return self._entries(tokens), mask & ~hidden

    def _text(self, text: str) -> str:
        words = text.split()
        kept = [w for w, u in zip(words, torch.rand(len(words)).tolist()) if u >= self.drop]
        return ' '.join(kept or words[:1])
