"""Samples that lack a modality, for training and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mango_mm.modalities import Modalities, channels_by_name
from mango_mm.registry import TRANSFORMS

__all__ = ['HANDED_ON', 'DropModality', 'hand_on']

# What data sets know of a sample beyond mmseg's keys.
HANDED_ON = ('present', 'conditions', 'sample_id')


def hand_on(transforms: Iterable[Any], names: Sequence[str] = HANDED_ON) -> None:
    """Let a pipeline's ``PackSegInputs`` put what a data set knows in the metainfo, in place.

    Args:
        transforms: Of the pipeline; those with ``meta_keys`` count, also inside ``TestTimeAug``.
        names: What is handed on where a sample has it.
    """
    for transform in transforms:
        for inner in getattr(transform, 'subroutines', ()):
            hand_on(inner.transforms, names)
        keys = getattr(transform, 'meta_keys', None)
        if keys is not None:
            transform.meta_keys = (*keys, *(n for n in names if n not in keys))


@TRANSFORMS.register_module()
class DropModality(BaseTransform):
    """Takes modalities from a sample, at random or always, and says so in ``present``.

    Models that know missing modalities (``EnsembleHead``, ``MultimodalClassifier``) read that;
    to any other the modality is its mean, a blank image. At least one modality always stays.

    In segmentation it comes after ``StackModalities``, whose channels it sets to NaN (missing,
    to the preprocessor), and ``PackSegInputs`` has to hand ``present`` on: add it to its
    ``meta_keys``. For movies it comes before ``PackMovie``.

    Args:
        probabilities: How often each modality is dropped, 0 to 1; 1 in a test of a subset.
        channels: A list of dicts with ``name`` and ``channels`` of every modality, in the order in
            which they are stacked; None: nothing is
            stacked, and ``present`` alone is set.

    Raises:
        ValueError: If a probability is none, all modalities are always dropped, or a modality
            has no channels.
    """

    def __init__(
        self, probabilities: Mapping[str, float], channels: Modalities | None = None
    ) -> None:
        wrong = {m: p for m, p in probabilities.items() if not 0 <= p <= 1}
        if wrong or not probabilities:
            raise ValueError(f'probabilities must lie in 0..1; got {dict(probabilities)}.')
        self.channels = None if channels is None else channels_by_name(channels)
        names = list(self.channels or probabilities)
        unknown = [m for m in probabilities if m not in names]
        if unknown:
            raise ValueError(f'channels are known of {names}; got probabilities of {unknown}.')
        if all(probabilities.get(m, 0) == 1 for m in names):
            raise ValueError(f'one modality must stay; all of {names} are always dropped.')
        self.probabilities = dict(probabilities)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        names = list(self.channels or self.probabilities)
        before = results.get('present') or {}
        there = [m for m in names if before.get(m, True)]
        gone = [m for m in there if np.random.rand() < self.probabilities.get(m, 0.0)]
        if there and len(gone) == len(there):
            # Those that are always dropped must go; of the others one is spared at random.
            spared = [m for m in gone if self.probabilities[m] < 1] or gone
            gone.remove(spared[np.random.randint(len(spared))])
        results['present'] = {**before, **{m: m in there and m not in gone for m in names}}
        if self.channels is not None:
            self._blank(results, gone)
        return results

    def _blank(self, results: dict[str, Any], gone: list[str]) -> None:
        image, sizes = results['img'], self.channels or {}
        if image.ndim != 3 or image.shape[2] != sum(sizes.values()):
            raise ValueError(
                f'DropModality was configured for {sizes}, {sum(sizes.values())} channels; got an '
                f'image {image.shape}. It comes after StackModalities.'
            )
        start = 0
        for m, count in sizes.items():
            if m in gone:
                image[..., start : start + count] = np.nan
            start += count
