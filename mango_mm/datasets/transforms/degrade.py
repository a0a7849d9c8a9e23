"""Degradations as a pipeline step; what they do: ``mango_mm/datasets/degradations.py``."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mango_mm.datasets.degradations import DEGRADATIONS, FROZEN_STEPS, degrade_frame, degrade_text
from mango_mm.datasets.transforms.loading import LoadDepth, LoadImage
from mango_mm.registry import TRANSFORMS

__all__ = ['Degrade']


@TRANSFORMS.register_module()
class Degrade(BaseTransform):
    """One degradation of every sample, the same for a sample whenever it is loaded.

    It comes right after the loading of ``img`` and ``depth``, or of a film before ``PackFilm``.

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
        if kind not in DEGRADATIONS:
            raise ValueError(f'degradation must be one of {DEGRADATIONS}; got {kind!r}.')
        if severity not in range(1, 6):
            raise ValueError(f'severity must lie in 1..5; got {severity!r}.')
        if kind == 'text_other' and not texts:
            raise ValueError("'text_other' needs texts to take another plot from; got none.")
        self.kind, self.severity, self.seed, self.texts = kind, severity, seed, tuple(texts)
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
        return results

    def _other(self, results: dict[str, Any]) -> tuple[Any, Any]:
        """RGB and depth of a frame some places further in the folder, at this frame's size."""
        import cv2

        paths = {}
        for key in ('img_path', 'depth_path'):
            own = Path(results[key])
            frames = sorted(p for p in own.parent.iterdir() if p.suffix == own.suffix)
            if len(frames) < 2:
                raise ValueError(f'{self.kind} needs another frame beside {own}; it is alone.')
            step = FROZEN_STEPS[self.severity - 1] % len(frames) or 1
            paths[key] = str(frames[(frames.index(own) + step) % len(frames)])
        image = self.load_image({'img_path': paths['img_path']})['img']
        depth = self.load_depth({'depth_path': paths['depth_path']})['depth']
        size = results['img'].shape[1::-1]
        return (
            cv2.resize(image, size),
            cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST),
        )
