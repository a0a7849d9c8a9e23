"""F1 and average precision of multi-label classification, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray

from mango_mm.hosts import require_host
from mango_mm.registry import METRICS

__all__ = ['MultiLabelScores', 'best_thresholds']

AVERAGES = ('micro', 'macro', 'weighted', 'samples')


@METRICS.register_module()
class MultiLabelScores(BaseMetric):
    """Micro, macro, weighted and samples F1, and mean average precision, in per cent.

    Every F1 is given twice: with a threshold of 0.5, and (``*_tuned``) with a threshold per class
    that was chosen on validation data. A class without a positive sample has F1 0, as
    scikit-learn's ``zero_division=0`` says, and no average precision.

    Args:
        choose_thresholds: Choose them on these scores (validation): ``*_tuned`` is then
            optimistic. Else take those that came with the predictions (test).
        classes: Names, for the table that is logged; None: numbers.
        **others: The same as in mmengine's BaseMetric.

    Attributes:
        per_sample: After an evaluation, ``'macro_f1'`` and, of every sample by class with the tuned
            thresholds, true positives and positives of labels and predictions together, (N, 2, C):
            for paired comparisons.
    """

    per_sample: tuple[str, NDArray[np.float64]] | None = None

    default_prefix = None

    def __init__(
        self,
        choose_thresholds: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        classes: Sequence[str] | None = None,
        **others: Any,
    ) -> None:
        require_host('sklearn', 'MultiLabelScores')
        super().__init__(**others)
        self.choose_thresholds, self.classes = choose_thresholds, classes
        self.thresholds: NDArray[np.float64] | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Collect the scores of one batch."""
        if self.choose_thresholds and self.thresholds is None:
            # Every process needs the shape, to be sent what the main one chooses.
            self.thresholds = np.full(len(data_samples[0]['pred_score']), 0.5)
        self.results.extend(
            tuple(sample[k].float().cpu().numpy() for k in ('pred_score', 'gt_label', 'thresholds'))
            for sample in data_samples
        )

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """All scores, in per cent; the table per class is logged."""
        from sklearn.metrics import average_precision_score, f1_score

        scores, labels, given = (np.stack(x) for x in zip(*results))
        labels = labels.astype(int)
        if self.choose_thresholds:
            self.thresholds = best_thresholds(scores, labels)
        tuned = given if self.thresholds is None else self.thresholds
        answer = (scores >= tuned).astype(float)
        self.per_sample = 'macro_f1', np.stack([labels * answer, labels + answer], axis=1)
        said = {'': scores >= 0.5, '_tuned': scores >= tuned}
        found = {
            f'{average}_f1{suffix}': 100
            * f1_score(labels, answer.astype(int), average=average, zero_division=0)
            for suffix, answer in said.items()
            for average in AVERAGES
        }
        each = [
            average_precision_score(labels[:, c], scores[:, c]) if labels[:, c].any() else np.nan
            for c in range(labels.shape[1])
        ]
        found['mAP'] = 100 * float(np.nanmean(each)) if np.isfinite(each).any() else 0.0
        print_log(self._table(labels, said, each), 'current')
        return {name: float(value) for name, value in found.items()}

    def _table(self, labels: Any, said: dict[str, Any], precision: Sequence[float]) -> str:
        from sklearn.metrics import f1_score

        names = self.classes or [str(c) for c in range(labels.shape[1])]
        columns = [
            f1_score(labels, answer.astype(int), average=None, zero_division=0)
            for answer in said.values()
        ]
        width = max(len(name) for name in names)
        lines = [f'{"class":{width}}  movies     F1  tuned     AP']
        for c, name in enumerate(names):
            values = ' '.join(f'{100 * column[c]:6.2f}' for column in (*columns, precision))
            lines.append(f'{name:{width}}  {labels[:, c].sum():5d} {values}')
        return '\n' + '\n'.join(lines)


def best_thresholds(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """The threshold of each class with the highest F1 on these scores, (C,).

    Args:
        scores: (N, C).
        labels: (N, C) in {0, 1}. A class without a positive sample gets 0.5.
    """
    from sklearn.metrics import precision_recall_curve

    chosen = np.full(scores.shape[1], 0.5)
    for c in range(scores.shape[1]):
        if labels[:, c].any():
            precision, recall, thresholds = precision_recall_curve(labels[:, c], scores[:, c])
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
            best = int(f1[:-1].argmax())
            below = scores[:, c][scores[:, c] < thresholds[best]]
            # Halfway to the next score below: a threshold on a score is decided by rounding.
            chosen[c] = (thresholds[best] + (below.max() if below.size else 0.0)) / 2
    return chosen
