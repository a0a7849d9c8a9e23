"""Errors of calibration and curves of risk, counted again, and against scikit-learn's bins."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc

from mango_mm.evaluation.functional.calibration import (
    ConfidenceCounts,
    accuracy_at_coverage,
    area_under_risk_coverage,
    classwise_calibration_error,
    confidence_violations,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
)


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    confidence = rng.beta(4, 2, 2000)
    return confidence, rng.random(2000) < confidence**2


def test_bins_are_those_of_scikit_learn(predictions):
    confidence, correct = predictions
    accuracy, sure = calibration_curve(correct, confidence, n_bins=15)
    bins = reliability_bins(confidence, correct)
    np.testing.assert_allclose([b['accuracy'] for b in bins], accuracy)
    np.testing.assert_allclose([b['confidence'] for b in bins], sure)
    counts = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    expected = (counts[counts > 0] / 2000 * abs(accuracy - sure)).sum()
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)
    assert expected_calibration_error(np.ones(5), np.ones(5)) == 0


def test_counts_that_are_added_are_those_of_all_predictions(predictions):
    confidence, correct = predictions
    halves = (slice(0, 700), slice(700, None))
    parts = [ConfidenceCounts.of(confidence[s], correct[s]) for s in halves]
    both = ConfidenceCounts.sum(parts)
    sure, accuracy = both.reliability()
    bins = reliability_bins(confidence, correct)
    np.testing.assert_allclose(sure, [b['confidence'] for b in bins])
    np.testing.assert_allclose(accuracy, [b['accuracy'] for b in bins])
    coverage, risk = both.risk_coverage()
    expected = np.interp(coverage, *risk_coverage(confidence, correct))
    np.testing.assert_allclose(risk[coverage > 0.05], expected[coverage > 0.05], atol=5e-3)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - correct.mean())


def test_class_wise_errors_are_a_mean_over_classes():
    rng = np.random.default_rng(1)
    p, labels = rng.dirichlet(np.ones(4), 500), rng.integers(0, 3, 500)  # class 3 never occurs
    errors = []
    for c in range(3):
        accuracy, sure = calibration_curve(labels == c, p[:, c], n_bins=15)
        counts = np.histogram(p[:, c], np.linspace(0, 1, 16))[0]
        errors.append((counts[counts > 0] / 500 * abs(accuracy - sure)).sum())
    assert classwise_calibration_error(p, labels) == pytest.approx(np.mean(errors))


def test_risk_by_coverage_is_counted(predictions):
    confidence, correct = predictions
    coverage, risk = risk_coverage(confidence, correct)
    order = np.argsort(-confidence, kind='stable')
    for k in (1, 7, 1000, 2000):
        assert coverage[k - 1] == k / 2000
        assert risk[k - 1] == pytest.approx(1 - correct[order[:k]].mean())
    area = area_under_risk_coverage(confidence, correct)
    assert area == pytest.approx(auc(coverage, risk), abs=2e-3)  # trapezoids
    assert accuracy_at_coverage(confidence, correct, 0.5) == pytest.approx(
        correct[order[:1000]].mean()
    )


def test_violations_are_a_share():
    whole, reduced = np.array([0.9, 0.5, 0.7, 0.4]), np.array([0.8, 0.6, 0.7, 0.9])
    assert confidence_violations(whole, reduced) == 0.5
    with pytest.raises(ValueError, match=r'got \(4,\) and \(3,\)'):
        confidence_violations(whole, reduced[:3])
    with pytest.raises(ValueError, match=r'got \(0,\)'):
        expected_calibration_error(np.empty(0), np.empty(0))
