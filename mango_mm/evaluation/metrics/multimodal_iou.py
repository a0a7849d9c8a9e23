"""mmseg's IoU with what a multimodal data set and a flow add: conditions apart, the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmseg.evaluation import IoUMetric
from numpy.typing import NDArray

from mango_mm.evaluation.metrics.flow_likelihood import mean_likelihood
from mango_mm.registry import METRICS

__all__ = ['MultimodalIoUMetric']


@METRICS.register_module()
class MultimodalIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric``, in one metric, so that mmseg's own tools find what they expect.

    Beside ``aAcc``, ``mIoU``, ``mAcc`` it reports ``nll_per_dim`` and ``bits_per_dim`` of a
    flow, and, of a data set whose samples have ``conditions`` (weather, time of day, a failing
    sensor), ``mIoU_<value>`` over the samples of each (``mIoU_<key>_<value>`` where two
    conditions have the same value). Under test-time augmentation the likelihood is that of the
    last view. With ``output_dir`` predictions are named by the sample's id where it has one,
    because file names may repeat across folders.

    Args:
        **options: The same as in mmseg's.

    Attributes:
        per_sample: After an evaluation, ``'mIoU'`` and intersections and unions of every sample by
            class, (N, 2, C): for paired comparisons.
    """

    per_sample: tuple[str, NDArray[np.float64]] | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect areas, likelihood and conditions of every sample."""
        for sample in data_samples:
            nll = float(sample['nll_per_dim']) if 'nll_per_dim' in sample else None
            known = dict(sample.get('conditions') or {})
            count = len(self.results)
            super().process(data_batch, [self._named(sample)])
            areas = self.results.pop() if len(self.results) > count else None
            self.results.append((areas, nll, known))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """All metrics by name; the table of classes goes to the log."""
        areas = [a for a, _, _ in results]
        found = dict(super().compute_metrics(areas if not self.format_only else results))
        if not self.format_only:
            parts = [np.stack([np.asarray(a[0]), np.asarray(a[1])]) for a in areas]
            self.per_sample = 'mIoU', np.stack(parts).astype(np.float64)
            found.update(self._by_condition(results))
        found.update(mean_likelihood([nll for _, nll, _ in results]))
        return found

    def _by_condition(self, results: list[Any]) -> dict[str, float]:
        groups: dict[tuple[str, str], list[Any]] = {}
        for areas, _, known in results:
            for pair in known.items():
                groups.setdefault(pair, []).append(areas)
        values = [value for _, value in groups]
        found = {}
        for (key, value), members in groups.items():
            totals = [sum(part) for part in zip(*members)]
            scores = self.total_area_to_metrics(*totals, ['mIoU'], self.nan_to_num, self.beta)
            name = value if values.count(value) == 1 else f'{key}_{value}'
            found[f'mIoU_{name}'] = float(np.round(np.nanmean(scores['IoU']) * 100, 2))
        return found

    @staticmethod
    def _named(sample: dict[str, Any]) -> dict[str, Any]:
        """With a path to be named by, also where there is no image."""
        name = sample.get('sample_id')
        if name is not None:
            return {**sample, 'img_path': f'{str(name).replace("/", "_")}.png'}
        if sample.get('img_path') is None:
            return {**sample, 'img_path': sample.get('seg_map_path') or 'sample.png'}
        return sample
