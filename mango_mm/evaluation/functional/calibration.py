"""Is a prediction as sure as it is right? Errors of calibration, and what refusing would gain.

N predictions of C classes; confidences and probabilities in [0, 1].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'ConfidenceCounts',
    'accuracy_at_coverage',
    'area_under_risk_coverage',
    'classwise_calibration_error',
    'confidence_violations',
    'expected_calibration_error',
    'reliability_bins',
    'risk_coverage',
]

Array = NDArray[Any]
FINE = 1500  # bins of counts that are added up; a multiple of the 15 of a diagram


@dataclasses.dataclass(frozen=True)
class ConfidenceCounts:
    """Confidences in fine bins: of any number of predictions, and can be added.

    Attributes:
        count: Predictions in each bin, (1500,).
        confidence: Sum of their confidences.
        correct: How many are right.
    """

    count: Array
    confidence: Array
    correct: Array

    @classmethod
    def of(cls, confidence: Array, correct: Array) -> ConfidenceCounts:
        """Of predictions, (N,) each; see :func:`reliability_bins`."""
        confidence, correct = _checked(confidence, correct)
        places = np.minimum((confidence * FINE).astype(int), FINE - 1)
        sums = (np.bincount(places, w, FINE) for w in (None, confidence, correct))
        return cls(*(np.asarray(s, float) for s in sums))

    @classmethod
    def sum(cls, parts: Iterable[ConfidenceCounts]) -> ConfidenceCounts:
        """All of them together."""
        known = [*parts]
        fields = [f.name for f in dataclasses.fields(cls)]
        return cls(*(np.sum([getattr(p, name) for p in known], axis=0) for name in fields))

    def reliability(self, bins: int = 15) -> tuple[Array, Array]:
        """Mean confidence and accuracy of the bins that have predictions."""
        count, sure, right = (
            x.reshape(bins, -1).sum(axis=1) for x in (self.count, self.confidence, self.correct)
        )
        seen = count > 0
        return sure[seen] / count[seen], right[seen] / count[seen]

    def risk_coverage(self) -> tuple[Array, Array]:
        """As :func:`risk_coverage`, predictions of one fine bin being taken together."""
        count, right = self.count[::-1].cumsum(), self.correct[::-1].cumsum()
        seen = count > 0
        return count[seen] / count[-1], 1 - right[seen] / count[seen]


def reliability_bins(confidence: Array, correct: Array, bins: int = 15) -> list[dict[str, float]]:
    """Share, mean confidence and accuracy of every bin of equal width that has a prediction.

    Args:
        confidence: Of the predicted classes, (N,).
        correct: Whether they are right, (N,).
        bins: How many.

    Raises:
        ValueError: If there is no prediction or the two differ in length.
    """
    confidence, correct = _checked(confidence, correct)
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(places):
        inside = places == place
        found.append(
            {
                'share': float(inside.mean()),
                'confidence': float(confidence[inside].mean()),
                'accuracy': float(correct[inside].mean()),
            }
        )
    return found


def expected_calibration_error(confidence: Array, correct: Array, bins: int = 15) -> float:
    """Mean over predictions of |accuracy - confidence| of their bin, in [0, 1].

    Source: Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599, Eq. 3.
    """
    return sum(
        b['share'] * abs(b['accuracy'] - b['confidence'])
        for b in reliability_bins(confidence, correct, bins)
    )


def classwise_calibration_error(probabilities: Array, labels: Array, bins: int = 15) -> float:
    """Mean over the classes that occur of the calibration error of their probability.

    Source: Kull et al., NeurIPS 2019, https://arxiv.org/abs/1910.12656.

    Args:
        probabilities: (N, C).
        labels: (N,).
        bins: See :func:`reliability_bins`.
    """
    classes = np.unique(labels)
    return float(
        np.mean(
            [expected_calibration_error(probabilities[:, c], labels == c, bins) for c in classes]
        )
    )


def risk_coverage(confidence: Array, correct: Array) -> tuple[Array, Array]:
    """Coverage k / N and the error rate of the k surest predictions, for k = 1 .. N."""
    confidence, correct = _checked(confidence, correct)
    order = np.argsort(-confidence, kind='stable')
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(1 - correct[order]) / count


def area_under_risk_coverage(confidence: Array, correct: Array) -> float:
    """AURC: the mean of the risks over all coverages, in [0, 1].

    Source: Geifman et al., ICLR 2019, https://arxiv.org/abs/1805.08206.
    """
    return float(risk_coverage(confidence, correct)[1].mean())


def accuracy_at_coverage(confidence: Array, correct: Array, coverage: float = 0.9) -> float:
    """Accuracy of the surest share of the predictions, in [0, 1]."""
    covered, risk = risk_coverage(confidence, correct)
    return float(1 - risk[int(np.ceil(coverage * len(covered))) - 1])


def confidence_violations(whole: Array, reduced: Array) -> float:
    """Share of predictions that are surer without a modality than with it, in [0, 1].

    Source: Ma et al., Calibrating Multimodal Learning, ICML 2023,
    https://arxiv.org/abs/2306.01265.

    Args:
        whole: Confidence with all modalities, (N,).
        reduced: Confidence of the same without one, (N,).
    """
    whole, reduced = _checked(whole, reduced)
    return float((reduced > whole).mean())


def _checked(first: Array, second: Array) -> tuple[Array, Array]:
    first, second = np.asarray(first, float), np.asarray(second, float)
    if not len(first) or first.shape != second.shape or not np.isfinite(first).all():
        raise ValueError(
            f'calibration needs as many finite numbers of both kinds; got {first.shape} and '
            f'{second.shape}.'
        )
    return first, second
