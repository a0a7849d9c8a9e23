"""How well an autoencoder gives every modality back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mango_mm.evaluation.functional import PixelErrorSums
from mango_mm.registry import METRICS

__all__ = ['ReconstructionErrors']


@METRICS.register_module()
class ReconstructionErrors(BaseMetric):
    """Pixel errors between ``source_m`` and ``made_m`` of every modality m.

    Reports ``MAE_m`` and ``RMSE_m`` over the measured pixels (``mask_m``, where there is one),
    in units of the images as the model sees them.
    """

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect the sums of one batch."""
        for sample in data_samples:
            sums = {}
            for key in (key for key in sample if key.startswith('made_')):
                name = key[len('made_') :]
                mask = sample.get(f'mask_{name}')
                sums[name] = PixelErrorSums.of(
                    sample[key].float().cpu().numpy(),
                    sample[f'source_{name}'].float().cpu().numpy(),
                    None if mask is None else mask[0].cpu().numpy() > 0,
                )
            self.results.append(sums)

    def compute_metrics(self, results: list[dict[str, PixelErrorSums]]) -> dict[str, float]:
        """MAE and RMSE of every modality."""
        errors = {}
        for name in results[0]:
            total = sum((sums[name] for sums in results), PixelErrorSums()).errors()
            errors |= {f'{kind}_{name}': total[kind] for kind in ('MAE', 'RMSE')}
        return errors
