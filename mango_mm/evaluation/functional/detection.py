"""Can a score tell degraded samples from clean ones? Larger scores mean stranger samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['Mahalanobis', 'auroc', 'fpr_at_95']


def auroc(clean: Sequence[float], strange: Sequence[float]) -> float:
    """Area under the ROC curve, 0 to 1; .5 is chance. scikit-learn's.

    Raises:
        ValueError: If a group is empty or a score is not finite.
    """
    from sklearn.metrics import roc_auc_score

    labels, scores = _joined(clean, strange)
    return float(roc_auc_score(labels, scores))


def fpr_at_95(clean: Sequence[float], strange: Sequence[float]) -> float:
    """Share of clean samples called strange where 95 % of the strange ones are found, 0 to 1.

    Raises:
        ValueError: As :func:`auroc`.
    """
    labels, scores = _joined(clean, strange)
    found = np.sort(scores[labels == 1])[::-1]
    threshold = found[int(np.ceil(0.95 * len(found))) - 1]
    return float((scores[labels == 0] >= threshold).mean())


def _joined(
    clean: Sequence[float], strange: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    scores = np.concatenate([np.asarray(clean, float), np.asarray(strange, float)])
    if not len(clean) or not len(strange) or not np.isfinite(scores).all():
        raise ValueError(
            f'detection needs finite scores of both groups; got {len(clean)} clean and '
            f'{len(strange)} strange ones, {int((~np.isfinite(scores)).sum())} not finite.'
        )
    return np.repeat([0, 1], [len(clean), len(strange)]), scores


class Mahalanobis:
    """Distance of features from those of training samples: the covariance is scikit-learn's.

    Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples,
    NeurIPS 2018, without classes: one Gaussian; shrunk by Ledoit and Wolf, because features can be
    as many as samples.

    Args:
        features: Of the training samples, (N, D), at least two.

    Raises:
        ValueError: If there are fewer, or one is not finite.
    """

    def __init__(self, features: NDArray[Any]) -> None:
        from sklearn.covariance import LedoitWolf

        features = np.asarray(features, float)
        if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
            raise ValueError(
                f'Mahalanobis needs finite features (N, D), N at least 2; got {features.shape}.'
            )
        self.estimate = LedoitWolf().fit(features)

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Squared distance of each row of (N, D)."""
        return np.asarray(self.estimate.mahalanobis(np.asarray(features, float)))
