"""MAE, MSE and RMSE of translated images, over measured pixels, on [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mango_mm.evaluation.functional import PixelErrorSums
from mango_mm.registry import METRICS

__all__ = ['TranslationErrors']


@METRICS.register_module()
class TranslationErrors(BaseMetric):
    """Pixel errors over the whole data set: see ``evaluation/functional/pixel_errors.py``.

    Reads ``output.pred_img``, ``gt_img`` and, where there is one, ``gt_mask`` off every
    prediction. Images without a measured pixel count for nothing.
    """

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect the sums of one batch."""
        for sample in data_samples:
            mask = sample.get('gt_mask')
            self.results.append(
                PixelErrorSums.of(
                    sample['output']['pred_img'].float().cpu().numpy(),
                    sample['gt_img'].float().cpu().numpy(),
                    None if mask is None else mask[0].cpu().numpy() > 0,
                )
            )

    def compute_metrics(self, results: list[PixelErrorSums]) -> dict[str, float]:
        """MAE, MSE and RMSE, in units of the [-1, 1] range."""
        return sum(results, PixelErrorSums()).errors()
