"""Scores of sentiment and of classes, against other people's computations."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score

from mango_mm.evaluation.functional import sentiment_scores
from mango_mm.registry import METRICS
from mango_mm.structures import SequenceSample


def mult_multiclass(said, true):
    """MulT's multiclass_acc, by its equation: rounded intensities that agree."""
    return np.sum(np.round(said) == np.round(true)) / float(len(true))


@pytest.mark.parametrize('seed', range(10))
def test_random_cases(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 300))
    true = np.round(rng.uniform(-3, 3, count), 1)
    true[rng.random(count) < 0.2] = 0
    said = np.clip(true + rng.normal(0, 1.5, count), -4, 4)
    said[rng.random(count) < 0.1] = 0
    got = sentiment_scores(said, true)
    assert got['mae'] == pytest.approx(np.mean(np.absolute(said - true)))
    assert got['corr'] == pytest.approx(np.corrcoef(said, true)[0][1])
    assert got['corr'] == pytest.approx(pearsonr(said, true)[0])
    for classes, most in ((7, 3), (5, 2)):
        wanted = mult_multiclass(np.clip(said, -most, most), np.clip(true, -most, most))
        assert got[f'acc_{classes}'] == pytest.approx(100 * wanted)
    # MMSA's two: with zeros, not negative; without them, positive.
    assert got['acc_2'] == pytest.approx(100 * accuracy_score(true >= 0, said >= 0))
    assert got['f1'] == pytest.approx(100 * f1_score(true >= 0, said >= 0, average='weighted'))
    kept = np.array([i for i, t in enumerate(true) if t != 0])
    assert got['acc_2_nonzero'] == pytest.approx(
        100 * np.mean((said[kept] > 0) == (true[kept] > 0))
    )
    wanted = f1_score(true[kept] > 0, said[kept] > 0, average='weighted')
    assert got['f1_nonzero'] == pytest.approx(100 * wanted)


def test_halves_are_rounded_to_even_as_numpy_does():
    assert sentiment_scores(np.array([0.5, 1.5]), np.array([0.0, 2.0]))['acc_7'] == 100


def test_a_constant_has_no_correlation_and_bad_input_is_named():
    got = sentiment_scores(np.zeros(4), np.arange(4.0))
    assert np.isnan(got['corr'])
    assert 'acc_2_nonzero' in got
    with pytest.raises(ValueError, match=r'one number each; got \(3, 1\)'):
        sentiment_scores(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match='must be finite'):
        sentiment_scores(np.array([np.nan]), np.zeros(1))


def collected(metric, field, said, true):
    for a, b in zip(said, true):
        sample = SequenceSample()
        setattr(sample, field, torch.as_tensor(a))
        sample.gt_label, sample.nll_per_dim = torch.as_tensor(b), torch.tensor(2.0)
        metric.process(None, [sample.to_dict()])
    return metric.compute_metrics(metric.results)


def test_the_registered_metrics_are_those_functions():
    rng = np.random.default_rng(0)
    said, true = rng.normal(size=(20, 1)), rng.normal(size=(20, 1))
    got = collected(METRICS.build(dict(type='mango_mm.SentimentScores')), 'pred_value', said, true)
    wanted = sentiment_scores(*(x[:, 0].astype(np.float32).astype(float) for x in (said, true)))
    assert {k: got[k] for k in wanted} == pytest.approx(wanted)
    assert got['nll_per_dim'] == 2
    scores, classes = rng.normal(size=(30, 4)), rng.integers(0, 4, 30)
    got = collected(METRICS.build(dict(type='mango_mm.ClassScores')), 'pred_score', scores, classes)
    answer = scores.argmax(axis=1)
    assert got['accuracy'] == pytest.approx(100 * accuracy_score(classes, answer))
    for average in ('macro', 'weighted'):
        wanted = 100 * f1_score(classes, answer, average=average)
        assert got[f'{average}_f1'] == pytest.approx(wanted)
