"""Stacking: the modalities of a sample become the channels of one array.

This comes after the photometric transforms, which must touch RGB alone, and before
mmseg's ``PackSegInputs``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mango_mm.datasets.transforms.trace import WHAT_MOVES_ALL, fill_missing
from mango_mm.modalities import Modalities, specs_by_name
from mango_mm.registry import TRANSFORMS

__all__ = ['StackModalities', 'key_of']


def key_of(modality: str) -> str:
    """Where a modality is in a sample: ``rgb`` where mmseg's transforms expect an image."""
    return 'img' if modality == 'rgb' else modality


@TRANSFORMS.register_module()
class StackModalities(BaseTransform):
    """Concatenate modalities along the channel axis into ``results['img']``, float32.

    Colour images become RGB here, so that neither a preprocessor nor a plot has to
    guess. An image-like modality (HHA) may be stacked early, to be resized bilinearly
    together with RGB; depth is best stacked last.

    Args:
        keys: What to stack, in the order of the model's ``modalities``.
        modalities: Or the modalities themselves, as ``LoadModalities`` has them.

    Raises:
        KeyError: If a modality was not loaded.
        ValueError: If sizes differ, or a transform moved or changed one modality alone.
    """

    def __init__(
        self, keys: Sequence[str] = ('img', 'depth'), modalities: Modalities | None = None
    ) -> None:
        self.keys = tuple(keys if modalities is None else map(key_of, specs_by_name(modalities)))

    def channel_order(self, before: Sequence[str]) -> tuple[str, ...]:
        """What the channels of ``img`` are afterwards, by key.

        Args:
            before: What they were: ``('img',)`` of an image as it was loaded.
        """
        rest = [key for key in self.keys if key == 'img' or key not in before]
        return tuple(k for key in rest for k in (before if key == 'img' else (key,)))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        absent = [key for key in self.keys if key not in results]
        if absent:
            raise KeyError(
                f'StackModalities needs {list(self.keys)}; this sample has no {absent[0]!r}. '
                'Load it in the pipeline and list it in the modalities of the dataset.'
            )
        fill_missing(results, self.keys)
        done = results.get('stacked', ())
        parts = []
        for key in self.keys:
            if key in done and key != 'img':
                continue  # it is in img already
            part = results[key]
            if part.ndim == 2:
                part = part[..., None]
            elif key not in done and key not in results.get('arrays', ()):
                part = part[..., ::-1]  # BGR to RGB
            part = part.astype(np.float32)
            if key in results.get('absent', ()) and key not in done:
                part = np.full_like(part, np.nan)  # missing, to the preprocessor
            parts.append(part)
        rest = [key for key in self.keys if key not in done or key == 'img']
        sizes = {key: part.shape[:2] for key, part in zip(rest, parts)}
        if len(set(sizes.values())) > 1:
            padded = {'pad_size_divisor', 'pad_fixed_size'} & set(results)
            raise ValueError(
                f'modalities must be of one size to be stacked; got {sizes}. '
                + ('Pad moves img alone: put it after StackModalities.' if padded else
                   f'Between loading and stacking {WHAT_MOVES_ALL}.')
            )  # fmt: skip
        results['img'] = np.concatenate(parts, axis=2)
        results['img_shape'] = results['img'].shape[:2]
        results['stacked'] = (*done, *rest)
        results['seg_fields'] = [f for f in results.get('seg_fields', ()) if f not in self.keys]
        return results
