"""Detection scores against what can be counted by hand, scipy and the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from mango_mm.evaluation.functional.detection import Mahalanobis, auroc, fpr_at_95

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(clean=SCORES, strange=SCORES)
def test_auroc_is_the_share_of_pairs_in_order(clean, strange):
    u = mannwhitneyu(strange, clean).statistic
    assert auroc(clean, strange) == pytest.approx(u / (len(clean) * len(strange)))


@given(clean=SCORES, strange=SCORES)
def test_fpr_finds_95_percent_with_the_highest_threshold_that_does(clean, strange):
    got = fpr_at_95(clean, strange)
    rates = []
    for threshold in sorted(set(strange), reverse=True):
        if np.mean(np.array(strange) >= threshold) >= 0.95 - 1e-12:
            rates.append(np.mean(np.array(clean) >= threshold))
            break
    assert got == pytest.approx(rates[0])


def test_perfect_and_hopeless():
    assert auroc([1, 2, 3], [4, 5]) == 1
    assert fpr_at_95([1, 2, 3], [4, 5]) == 0
    assert fpr_at_95([4, 5], [1, 2]) == 1


def test_the_distance_is_that_of_the_shrunk_gaussian():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)) + 2
    distance = Mahalanobis(x)(x[:5])
    inverse = np.linalg.inv(np.cov(x, rowvar=False))
    wanted = [(row - x.mean(0)) @ inverse @ (row - x.mean(0)) for row in x[:5]]
    np.testing.assert_allclose(distance, wanted, rtol=0.02)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match='got 0 clean and 1 strange'):
        auroc([], [1.0])
    with pytest.raises(ValueError, match='1 not finite'):
        fpr_at_95([float('nan')], [1.0])
    with pytest.raises(ValueError, match=r'N at least 2; got \(1, 3\)'):
        Mahalanobis(np.zeros((1, 3)))
