"""Which modalities the samples of a batch have: ``present`` in their metainfo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ['blanked', 'presence']


def presence(
    metas: Sequence[Mapping[str, Any]], modalities: Sequence[str], *, some: bool = True
) -> Tensor | None:
    """Which modalities the samples have, bool (B, M); None where none says that it lacks one.

    Args:
        metas: Metainfo of every sample.
        modalities: Their names.
        some: Every sample must have one.

    Raises:
        ValueError: If a sample has none of them, but should.
    """
    rows = [[bool((meta.get('present') or {}).get(m, True)) for m in modalities] for meta in metas]
    if all(all(row) for row in rows):
        return None
    for row, meta in zip(rows, metas):
        if some and not any(row):
            raise ValueError(
                f'a sample must have one of {tuple(modalities)}; '
                f'{meta.get("img_path", "one")} has none.'
            )
    return torch.tensor(rows)


def blanked(pyramid: Sequence[Tensor], seen: Tensor) -> list[Tensor]:
    """A pyramid of maps (B, C, H, W) with zeros, and no gradient, where ``seen``, (B,), is not."""
    return [x.masked_fill(~seen.view(-1, 1, 1, 1), 0.0) for x in pyramid]
