"""How sentiment regression is scored: MulT's and MMSA's definitions, on arrays.

Labels and predictions are intensities, -3 to 3. Accuracies of classes are of intensities that are
cut off and rounded (half to even); of two classes, negative against the rest, or, where the truth
is not 0, negative against positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['sentiment_scores']


def sentiment_scores(
    predicted: NDArray[np.floating], truth: NDArray[np.floating]
) -> dict[str, float]:
    """The scores of one number per sample, (N,) each.

    Returns:
        ``mae``; ``corr``, Pearson's, NaN where one of both is constant; ``acc_7``, ``acc_5``;
        ``acc_2`` and ``f1``, negative against non-negative; ``acc_2_nonzero`` and ``f1_nonzero``,
        negative against positive, samples whose truth is 0 left out. F1 is weighted by the
        truth's classes. All but the first two in per cent.

    Raises:
        ValueError: If shapes differ, or a value is not finite.
    """
    from scipy.stats import pearsonr
    from sklearn.metrics import accuracy_score, f1_score

    if predicted.shape != truth.shape or predicted.ndim != 1 or not len(truth):
        raise ValueError(
            f'predictions and truths must be one number each; got {predicted.shape} and '
            f'{truth.shape}.'
        )
    if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
        raise ValueError('predictions and truths must be finite.')
    constant = np.ptp(predicted) == 0 or np.ptp(truth) == 0 or len(truth) < 2
    found = {
        'mae': float(np.abs(predicted - truth).mean()),
        'corr': float('nan') if constant else float(pearsonr(predicted, truth).statistic),
    }
    for classes in (7, 5):
        most = classes // 2
        said, true = (np.round(np.clip(x, -most, most)) for x in (predicted, truth))
        found[f'acc_{classes}'] = 100 * float(accuracy_score(true, said))
    kept = truth != 0
    for suffix, said, true in (
        ('', predicted >= 0, truth >= 0),
        ('_nonzero', predicted[kept] > 0, truth[kept] > 0),
    ):
        if len(true):
            found[f'acc_2{suffix}'] = 100 * float(accuracy_score(true, said))
            found[f'f1{suffix}'] = 100 * float(f1_score(true, said, average='weighted'))
    return found
