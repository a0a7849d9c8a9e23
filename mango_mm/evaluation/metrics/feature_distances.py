"""FID and KID of translated images; under other names on other features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray

from mango_mm.evaluation.functional import frechet_distance, kernel_distance
from mango_mm.registry import METRICS, MODELS, build_ours

__all__ = ['FeatureDistances']


@METRICS.register_module()
class FeatureDistances(BaseMetric):
    """Frechet and kernel distance between predicted images and targets.

    Reads ``output.pred_img`` and ``gt_img`` off every prediction; both are rounded to 8 bits,
    as images in files are. Grey images become three equal channels. The distances have the
    names that the extractor gives them: ``FID`` and ``KID`` only with Inception's published
    weights. KID is the squared MMD itself; the papers print it times 100.

    Args:
        extractor: ``dict(type='InceptionFeatures', weights=FILE)``, or the stand-in
            ``dict(type='RandomFeatures')``.
        subset_size: Of KID, as in ``kernel_distance``.
        num_subsets: Of KID.
        **others: The same as in mmengine's BaseMetric.
    """

    default_prefix = None

    def __init__(
        self,
        extractor: Mapping[str, Any] | None = None,
        subset_size: int = 1000,
        num_subsets: int = 50,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        self.extractor = build_ours(MODELS, dict(extractor or {'type': 'RandomFeatures'}))
        self.subset_size, self.num_subsets = subset_size, num_subsets

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect the features of one batch."""
        for sample in data_samples:
            pair = [_eight_bits(x) for x in (sample['output']['pred_img'], sample['gt_img'])]
            self.extractor.to(pair[0].device)
            self.results.append([self.extractor(x)[0].cpu().numpy() for x in pair])

    def compute_metrics(self, results: list[list[NDArray[np.float32]]]) -> dict[str, float]:
        """Both distances; which weights they rest on is logged."""
        fake, real = (np.stack(features) for features in zip(*results))
        frechet, kernel = self.extractor.metric_names
        print_log(
            f'{frechet} and {kernel} of {len(fake)} images on {self.extractor.weights}', 'current'
        )
        distance, _ = kernel_distance(
            fake, real, subset_size=self.subset_size, num_subsets=self.num_subsets
        )
        return {frechet: frechet_distance(fake, real), kernel: distance}


def _eight_bits(image: torch.Tensor) -> torch.Tensor:
    """A batch of one, (1, 3, H, W) in [-1, 1], rounded to 256 levels."""
    levels = ((image.float().clamp(-1, 1) + 1) * 127.5).round()
    return (levels / 127.5 - 1).expand(3, -1, -1)[None]
