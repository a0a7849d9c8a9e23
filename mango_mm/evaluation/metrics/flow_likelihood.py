"""The flow's likelihood over a data set, beside the task's own metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mango_mm.registry import METRICS

__all__ = ['FlowLikelihood']


@METRICS.register_module()
class FlowLikelihood(BaseMetric):
    """Mean negative log-likelihood of the fused tokens.

    Reads ``nll_per_dim`` (nats) off every prediction. Reports ``nll_per_dim`` in nats and
    ``bits_per_dim``; nothing, if the model has no flow.
    """

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect the values of one batch."""
        self.results.extend(
            float(s['nll_per_dim']) if 'nll_per_dim' in s else None for s in data_samples
        )

    def compute_metrics(self, results: list[float | None]) -> dict[str, float]:
        """The mean over all samples that have a likelihood."""
        return mean_likelihood(results)


def mean_likelihood(nlls: Sequence[float | None]) -> dict[str, float]:
    """The mean, in nats and in bits, over the samples that have one; nothing if none has."""
    values = [nll for nll in nlls if nll is not None]
    if not values:
        return {}
    mean = sum(values) / len(values)
    return {'nll_per_dim': mean, 'bits_per_dim': mean / math.log(2)}
