"""Paired differences: scores against mmseg's and scikit-learn's, intervals against SciPy's."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from scipy.stats import bootstrap, norm, t
from sklearn.metrics import f1_score

from mango_mm.comparison.paired import (
    PerSample,
    paired_difference,
    read_per_sample,
    save_per_sample,
)
from mango_mm.evaluation.metrics import MultimodalIoUMetric


def segmented(rng, count, right):
    """A metric that has seen ``count`` images of three classes, a share of pixels right."""
    metric = MultimodalIoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = {'classes': ('a', 'b', 'c')}
    for _ in range(count):
        truth = rng.integers(0, 3, (1, 5, 7))
        said = np.where(rng.random(truth.shape) < right, truth, rng.integers(0, 3, truth.shape))
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth))
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(said))
        metric.process(None, [sample.to_dict()])
    return metric, metric.evaluate(count)


def test_the_score_of_all_samples_is_the_reported_one(tmp_path):
    metric, said = segmented(np.random.default_rng(0), 6, 0.6)
    save_per_sample(tmp_path, [object(), metric])
    kept = read_per_sample(tmp_path)
    assert kept.parts.shape == (6, 2, 3)
    assert float(kept.score(np.ones((1, 6)))[0]) == pytest.approx(said['mIoU'], abs=0.006)
    assert read_per_sample(tmp_path / 'none') is None


def test_f1_of_resampled_samples_is_scikit_learns():
    rng = np.random.default_rng(1)
    truth, said = rng.integers(0, 2, (2, 30, 4))
    truth[:, 3] = said[:, 3] = 0  # a class that never comes
    parts = np.stack([truth * said, truth + said], axis=1).astype(float)
    drawn = rng.integers(0, 30, 30)
    weights = np.bincount(drawn, minlength=30)[None].astype(float)
    wanted = 100 * f1_score(truth[drawn], said[drawn], average='macro', zero_division=0)
    assert PerSample('macro_f1', parts).score(weights)[0] == pytest.approx(wanted)


def test_the_interval_of_a_mean_is_that_of_scipys_bootstrap():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.4, 1.0, (2, 40))
    mine = paired_difference(
        {0: PerSample('mean', a[:, None, None])}, {0: PerSample('mean', b[:, None, None])}, 20000
    )
    assert mine.mean == pytest.approx((a - b).mean() * 100 / 100)
    theirs = bootstrap(
        (a - b,), np.mean, n_resamples=20000, method='percentile', random_state=3
    ).confidence_interval
    assert (mine.low, mine.high) == pytest.approx(tuple(theirs), abs=0.02)
    assert mine.low < mine.mean < mine.high


def test_pairing_takes_what_is_common_out_and_seeds_are_resampled():
    rng = np.random.default_rng(4)
    images, noise = rng.normal(0, 5, 50), rng.normal(0, 3, 4)
    base = {s: PerSample('mean', (images + noise[s])[:, None, None]) for s in range(3)}
    better = {s: PerSample('mean', (images + noise[s] + 1)[:, None, None]) for s in range(4)}
    found = paired_difference(better, base)
    assert (found.low, found.mean, found.high) == pytest.approx((1, 1, 1))  # unpaired: +- 1.4
    assert found.seeds == 3
    assert str(found) == '+1.00 [+1.00, +1.00]'
    gains = (0.0, 1.0, 5.0)
    uneven = {s: PerSample('mean', (images + noise[s] + g)[:, None, None])
              for s, g in enumerate(gains)}  # fmt: skip
    spread = paired_difference(uneven, base)
    stretch = t.ppf(0.975, 2) / norm.ppf(0.975) * 1.5**0.5
    # One of 27 draws is one seed thrice.
    assert (spread.low, spread.high) == pytest.approx((2 - 2 * stretch, 2 + 3 * stretch))
    with pytest.raises(ValueError, match='no seed in common'):
        paired_difference({7: base[0]}, base)
    with pytest.raises(ValueError, match='validated on the same samples'):
        paired_difference({0: PerSample('mean', np.zeros((9, 1, 1)))}, base)


def test_ninety_five_of_a_hundred_intervals_over_few_seeds_hold_the_truth():
    rng, count = np.random.default_rng(5), 400
    for seeds, least in ((2, 0.85), (3, 0.9), (5, 0.92)):
        held = 0
        for _ in range(count):
            of = {s: PerSample('mean', rng.normal(0.3, 1.0) + rng.normal(0, 0.5, (20, 1, 1)))
                  for s in range(seeds)}  # fmt: skip
            base = {s: PerSample('mean', np.zeros((20, 1, 1))) for s in range(seeds)}
            found = paired_difference(of, base, resamples=200)
            held += found.low <= 0.3 <= found.high
        assert least <= held / count <= 0.995, (seeds, held / count)
    alone = paired_difference({0: of[0]}, base)
    assert str(alone).endswith(', one seed')
