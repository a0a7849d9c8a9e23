"""Degradations as a pipeline step; what they do: ``mango_mm/datasets/degradations.py``."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mango_mm.datasets.degradations import (
    FROZEN_STEPS,
    check_degradation,
    degrade_frame,
    degrade_text,
)
from mango_mm.datasets.transforms import trace
from mango_mm.datasets.transforms.loading import LoadDepth, LoadImage
from mango_mm.registry import TRANSFORMS

__all__ = ['Degrade']


@TRANSFORMS.register_module()
class Degrade(BaseTransform):
    """One degradation of every sample, the same for a sample whenever it is loaded.

    It comes right after the loading of ``img`` and ``depth``, or of a movie before ``PackMovie``.

    Args:
        kind: See ``mango_mm/datasets/degradations.py``.
        severity: 1 to 5.
        seed: Another seed degrades otherwise. The random numbers of a sample follow from it and
            from the sample's path or name, not from the order of loading.
        depth: Arguments of ``LoadDepth``, for ``depth_frozen``: how the other frame's is read.
        texts: Plots to take another one from, for ``text_other``.

    Raises:
        ValueError: If kind or severity are unknown, or what a kind needs is missing.
    """

    def __init__(
        self,
        kind: str,
        severity: int,
        seed: int = 0,
        depth: dict[str, Any] | None = None,
        texts: tuple[str, ...] = (),
    ) -> None:
        check_degradation(kind, severity)
        if kind == 'text_other' and not texts:
            raise ValueError("'text_other' needs texts to take another plot from; got none.")
        self.kind, self.severity, self.seed, self.texts = kind, severity, seed, tuple(texts)
        self.folders: dict[Path, list[Path]] = {}  # listed once, not per sample
        self.load_image, self.load_depth = LoadImage(), LoadDepth(**(depth or {}))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        name = str(results.get('sample_id') or results.get('img_path') or '')
        rng = np.random.default_rng([self.seed, self.severity, zlib.crc32(name.encode())])
        if self.kind.startswith('text'):
            other = self.texts[rng.integers(len(self.texts))] if self.texts else ''
            results['text'] = degrade_text(self.kind, results['text'], self.severity, rng, other)
            return results
        missing = [key for key in ('img', 'depth') if key not in results]
        if missing:
            raise KeyError(f'Degrade comes after the loading of img and depth; got no {missing}.')
        other = self._other(results) if self.kind.endswith('frozen') else None
        results['img'], results['depth'] = degrade_frame(
            self.kind, results['img'], results['depth'], self.severity, rng, other
        )
        trace.accept(results, 'depth')  # degraded on purpose
        return results

    def _other(self, results: dict[str, Any]) -> tuple[Any, Any]:
        """RGB and depth, what is frozen being that of a frame further in the folder, resized."""
        key = 'depth_path' if self.kind == 'depth_frozen' else 'img_path'
        own = Path(results[key])
        if own.parent not in self.folders:
            self.folders[own.parent] = sorted(
                p for p in own.parent.iterdir() if p.suffix == own.suffix
            )
        frames = self.folders[own.parent]
        if len(frames) < 2:
            raise ValueError(f'{self.kind} needs another frame beside {own}; it is alone.')
        step = FROZEN_STEPS[self.severity - 1] % len(frames) or 1
        source = {key: str(frames[(frames.index(own) + step) % len(frames)])}
        size = results['img'].shape[1::-1]
        if key == 'img_path':
            return cv2.resize(self.load_image(source)['img'], size), results['depth']
        depth = self.load_depth(source)['depth']
        return results['img'], cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
