"""Loading all modalities of a sample as their specs in the config say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mango_mm.datasets.transforms import trace
from mango_mm.datasets.transforms.load_array import LoadArray
from mango_mm.datasets.transforms.loading import LoadImage
from mango_mm.datasets.transforms.stacking import StackModalities, key_of
from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.registry import TRANSFORMS, build_ours

__all__ = ['LoadModalities', 'resized']

INTERPOLATIONS = {'nearest': cv2.INTER_NEAREST, 'bilinear': cv2.INTER_LINEAR}


@TRANSFORMS.register_module()
class LoadModalities(BaseTransform):
    """Load every modality; each spec says how.

    Args:
        modalities: A list of dicts in the order of the stack, the same that preprocessor and
            backbone have. Of each is read::

                name           rgb goes where mmseg's transforms expect an image, any other
                               under its name; its path is that of the data set
                channels       how many it has
                loader         config of the transform that loads it (LoadDepth, LoadArray,
                               LoadImage), without key; None: LoadImage for rgb,
                               else LoadArray of its first channels
                dtype          what its files must hold; None: any numbers
                missing        the value that means no measurement, 0 unless told
                interpolation  'nearest', so that no value is invented between two surfaces, or
                               'bilinear', for what is an image without holes (thermal, near
                               infrared): it follows rgb, is stacked with it at once, and
                               moves with it; then no transform may change colours

        resample: A modality of another size than the first is brought to the first's, by its
            interpolation; otherwise that is an error.

    Raises:
        ValueError: If a spec has no channels or an unknown interpolation, or what was loaded has
            other channels or another size.
    """

    def __init__(self, modalities: Modalities, *, resample: bool = False) -> None:
        self.specs, self.channels = specs_by_name(modalities), channels_by_name(modalities)
        self.resample = resample
        for name, spec in self.specs.items():
            how = spec.get('interpolation', 'nearest')
            if how not in INTERPOLATIONS:
                raise ValueError(
                    f'interpolation of {name!r} must be one of {tuple(INTERPOLATIONS)}; got '
                    f'{how!r}.'
                )
        self.loaders = {name: self._loader(name, spec) for name, spec in self.specs.items()}
        self.early = [n for n in self.specs if n != 'rgb' and self._how(n) == 'bilinear']
        names = list(self.specs)
        if self.early and names[: len(self.early) + 1] != ['rgb', *self.early]:
            raise ValueError(
                f"modalities with interpolation='bilinear' are stacked with RGB at once, and must "
                f'follow rgb directly; got {names}, of which {self.early} are.'
            )
        holes = [n for n in self.early if self.specs[n].get('missing') is not None]
        if holes:
            raise ValueError(
                f"interpolation='bilinear' would mix what was measured with what is missing; "
                f'{holes} name a missing value. Leave out one of both.'
            )
        self._stack = StackModalities(['img', *self.early]) if self.early else None

    def channel_order(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """What the channels of ``img`` are afterwards: what is stacked at once."""
        return before if self._stack is None else self._stack.channel_order(before)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        for name, loader in self.loaders.items():
            results = self._load(results, name, loader)
        if self._stack is not None:
            results = self._stack(results)
        return results

    def _how(self, name: str) -> str:
        return str(self.specs[name].get('interpolation', 'nearest'))

    def _loader(self, name: str, spec: Mapping[str, Any]) -> Any:
        given = dict(spec.get('loader') or {})
        if not given and name == 'rgb':
            return LoadImage()
        shared = {k: spec[k] for k in ('missing', 'dtype') if spec.get(k) is not None}
        if not given:
            return LoadArray(name, channels=range(self.channels[name]), **shared)
        if str(given.get('type', '')).endswith('LoadArray'):
            given = {'channels': range(self.channels[name]), **shared, **given}
        return build_ours(TRANSFORMS, {'key': key_of(name), **given})

    def _load(self, results: dict[str, Any], name: str, loader: Any) -> dict[str, Any]:
        key = key_of(name)
        source = results.get(f'{key}_path')
        if not self.resample or source is None or 'ori_shape' not in results:
            results = loader(results)
        else:
            alone = loader({f'{key}_path': source, 'seg_fields': []})
            height, width = results['ori_shape'][:2]
            values = resized(alone[key], (int(height), int(width)), self._how(name))
            results[key] = values
            if key in alone.get('arrays', ()):
                results['arrays'] = (*results.get('arrays', ()), key)
            trace.begin(results, key, missing=getattr(loader, 'missing', 0.0))
        found = results[key].shape[2] if results[key].ndim == 3 else 1
        if found != self.channels[name]:
            raise ValueError(
                f'modality {name!r} must have {self.channels[name]} channels; its loader gives '
                f'{found}, from {source}.'
            )
        return results


def resized(values: NDArray[Any], size: tuple[int, int], how: str) -> NDArray[Any]:
    """Values (H, W) or (H, W, C) at another size, channel by channel: OpenCV has a limit."""
    if values.shape[:2] == size:
        return values
    parts = values[..., None] if values.ndim == 2 else values
    done = [
        cv2.resize(
            np.ascontiguousarray(parts[..., c]), size[::-1], interpolation=INTERPOLATIONS[how]
        )
        for c in range(parts.shape[2])
    ]
    return done[0] if values.ndim == 2 else np.stack(done, axis=2)
