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
    POSTER,
    check_degradation,
    degrade_frame,
    degrade_poster,
    degrade_text,
)
from mango_mm.datasets.transforms import trace
from mango_mm.datasets.transforms.load_modalities import resized
from mango_mm.datasets.transforms.loading import LoadDepth, LoadImage, read_rgb
from mango_mm.registry import TRANSFORMS, build_ours

__all__ = ['Degrade']


@TRANSFORMS.register_module()
class Degrade(BaseTransform):
    """One degradation of every sample, the same for a sample whenever it is loaded.

    It comes right after the loading of ``img`` and of what is measured, or of a movie before
    ``PackMovie``.

    Args:
        kind: See ``mango_mm/datasets/degradations.py``.
        severity: 1 to 5.
        seed: Another seed degrades otherwise. The random numbers of a sample follow from it and
            from the sample's name, or its file's and folder's, not from the order of loading nor
            from where the data lie.
        key: The measured modality that takes depth's place in the kind.
        unit: What counts as a metre of it.
        load: Config of the transform that loads it, for ``depth_frozen``: how the other frame's is
            read; None: ``LoadDepth`` as it is by default.
        texts: Plots to take another one from, for ``text_other``.
        posters: Paths of posters, likewise, for ``image_other``.

    Raises:
        ValueError: If kind or severity are unknown, or what a kind needs is missing.
    """

    def __init__(
        self,
        kind: str,
        severity: int,
        seed: int = 0,
        key: str = 'depth',
        unit: float = 1.0,
        load: dict[str, Any] | None = None,
        texts: tuple[str, ...] = (),
        posters: tuple[str, ...] = (),
    ) -> None:
        check_degradation(kind, severity)
        if kind == 'text_other' and not texts:
            raise ValueError("'text_other' needs texts to take another plot from; got none.")
        if kind == 'image_other' and not posters:
            raise ValueError("'image_other' needs posters to take another one from; got none.")
        self.kind, self.severity, self.seed = kind, severity, seed
        self.texts, self.posters = tuple(texts), tuple(posters)
        self.folders: dict[Path, list[Path]] = {}  # listed once, not per sample
        self.key, self.unit = key, np.float32(unit)
        self.load_image = LoadImage()
        self.load = LoadDepth(key=key) if load is None else build_ours(TRANSFORMS, dict(load))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        name = _name_of(results)
        rng = np.random.default_rng([self.seed, self.severity, zlib.crc32(name.encode())])
        if self.kind.startswith('text'):
            other = self.texts[rng.integers(len(self.texts))] if self.texts else ''
            results['text'] = degrade_text(self.kind, results['text'], self.severity, rng, other)
            return results
        if self.kind in POSTER:
            results['img'] = degrade_poster(
                self.kind, results['img'], self.severity, rng, self._poster(results['img'], rng)
            )
            return results
        missing = [key for key in ('img', self.key) if key not in results]
        if missing:
            raise KeyError(
                f'Degrade comes after the loading of img and {self.key}; got no {missing}.'
            )
        if results.get('stacked'):
            raise ValueError(
                f'Degrade comes before any stacking; {list(results["stacked"])} are stacked '
                "already. In a test, load with interpolation='nearest'."
            )
        other = self._other(results) if self.kind.endswith('frozen') else None
        measured = results[self.key] / self.unit
        known = results.get(trace.STATE)
        missing = 0.0 if known is None else known.missing.get(self.key, 0.0)
        results['img'], degraded = degrade_frame(
            self.kind, results['img'], measured, self.severity, rng, other, missing / self.unit
        )
        if degraded is not measured:
            results[self.key] = degraded * self.unit
        trace.accept(results, self.key)  # degraded on purpose
        return results

    def _poster(self, own: Any, rng: np.random.Generator) -> Any:
        """Another movie's, in the size of its own."""
        if not self.posters:
            return None
        other = read_rgb(self.posters[rng.integers(len(self.posters))], 'poster')
        return cv2.resize(other, own.shape[1::-1])

    def _other(self, results: dict[str, Any]) -> tuple[Any, Any]:
        """RGB and depth, what is frozen being that of a frame further in the folder, resized."""
        key = f'{self.key}_path' if self.kind == 'depth_frozen' else 'img_path'
        if results[key] is None:  # the sample lacks it: nothing can be frozen
            return results['img'], results[self.key] / self.unit
        several = isinstance(results[key], (list, tuple))
        paths = [self._further(Path(p)) for p in (results[key] if several else [results[key]])]
        source = {key: paths if several else paths[0]}
        size = results['img'].shape[1::-1]
        if key == 'img_path':
            return cv2.resize(self.load_image(source)['img'], size), results[self.key]
        frozen = self.load({**source, 'seg_fields': []})[self.key] / self.unit
        return results['img'], resized(frozen, size[::-1], 'nearest')

    def _further(self, own: Path) -> str:
        """The file some frames further in the folder of one."""
        if own.parent not in self.folders:
            self.folders[own.parent] = sorted(
                p for p in own.parent.iterdir() if p.suffix == own.suffix
            )
        frames = self.folders[own.parent]
        if len(frames) < 2:
            raise ValueError(f'{self.kind} needs another frame beside {own}; it is alone.')
        step = FROZEN_STEPS[self.severity - 1] % len(frames) or 1
        return str(frames[(frames.index(own) + step) % len(frames)])


def _name_of(results: dict[str, Any]) -> str:
    """What tells a sample from others, the same on every machine; ``''`` of arrays."""
    given = results.get('sample_id')
    given = results.get('img_path') if given is None else given
    paths = given if isinstance(given, (list, tuple)) else [given]
    return ' '.join('/'.join(Path(p).parts[-2:]) for p in paths if isinstance(p, (str, Path)))
