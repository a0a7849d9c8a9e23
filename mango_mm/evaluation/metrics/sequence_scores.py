"""Scores of numbers and of classes, one per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mango_mm.evaluation.functional.sentiment import sentiment_scores
from mango_mm.evaluation.metrics.flow_likelihood import mean_likelihood
from mango_mm.hosts import require_host
from mango_mm.registry import METRICS

__all__ = ['ClassScores', 'SentimentScores']


class _Collects(BaseMetric):
    """Collects prediction, truth and likelihood of every sample."""

    default_prefix = None
    field: str

    def __init__(self, **others: Any) -> None:
        for host in ('sklearn', 'scipy'):
            require_host(host, type(self).__name__)
        super().__init__(**others)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect one batch."""
        for sample in data_samples:
            nll = float(sample['nll_per_dim']) if 'nll_per_dim' in sample else None
            said, true = (sample[k].float().cpu().numpy() for k in (self.field, 'gt_label'))
            self.results.append((said, true, nll))


@METRICS.register_module()
class SentimentScores(_Collects):
    """MAE, correlation, accuracies and F1 of intensities; see ``functional/sentiment.py``.

    And ``nll_per_dim``, ``bits_per_dim`` of a flow.

    Args:
        **others: The same as in mmengine's BaseMetric.
    """

    field = 'pred_value'

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """All scores."""
        said, true, nlls = zip(*results)
        found = sentiment_scores(
            np.stack(said).reshape(-1).astype(np.float64),
            np.stack(true).reshape(-1).astype(np.float64),
        )
        return {**found, **mean_likelihood(nlls)}


@METRICS.register_module()
class ClassScores(_Collects):
    """Accuracy, macro and weighted F1 of one class per sample, by scikit-learn, in per cent.

    And ``nll_per_dim``, ``bits_per_dim`` of a flow.

    Args:
        **others: The same as in mmengine's BaseMetric.
    """

    field = 'pred_score'

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """All scores."""
        from sklearn.metrics import accuracy_score, f1_score

        scores, true, nlls = zip(*results)
        said, true = np.stack(scores).argmax(axis=1), np.stack(true).reshape(-1).astype(int)
        found = {'accuracy': 100 * float(accuracy_score(true, said))}
        for average in ('macro', 'weighted'):
            score = f1_score(true, said, average=average, zero_division=0)
            found[f'{average}_f1'] = 100 * float(score)
        return {**found, **mean_likelihood(nlls)}
