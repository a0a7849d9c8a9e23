"""Protocols of failing sensors: what breaks, how much, and what is expected of it."""

import itertools

import pytest
import torch

from mango_mm.evaluation.functional.failures import expectation, failures_of, mean_of

CHANNELS = {'rgb': 3, 'depth': 1}


def test_every_subset_fails():
    assert [f.broken for f in failures_of('emm', 'abc')] == [
        *itertools.combinations('abc', 1), *itertools.combinations('abc', 2)
    ]  # fmt: skip
    random = failures_of('rmm', 'ab')
    assert [(f.share, f.broken) for f in random[:3]] == [
        (0.25, ('a',)), (0.25, ('b',)), (0.25, ('a', 'b'))
    ]  # fmt: skip
    assert len(random) == 9
    assert [f.deviation for f in failures_of('nm', 'ab')] == [0.1, 0.2, 0.5]
    assert len({f.name for p in ('emm', 'rmm', 'nm') for f in failures_of(p, 'abc')}) == 6 + 21 + 3
    with pytest.raises(ValueError, match="got 'all'"):
        failures_of('all', 'ab')


def test_what_fails_is_zero_as_often_as_said_and_the_rest_stays():
    inputs = torch.randn(4, 4, 40, 50)
    before = inputs.clone()
    for failure in failures_of('rmm', CHANNELS):
        found = failure.apply(inputs, CHANNELS)
        torch.testing.assert_close(inputs, before)
        for m, part in (('rgb', slice(0, 3)), ('depth', slice(3, 4))):
            zero = (found[:, part] == 0).float().mean()
            expected = failure.share if m in failure.broken else 0.0
            assert float(zero) == pytest.approx(expected, abs=0.02)
        torch.testing.assert_close(failure.apply(inputs, CHANNELS), found)  # seeded
        assert not torch.equal(failure.apply(inputs, CHANNELS, seed=1), found)
    (gone,) = (f for f in failures_of('emm', CHANNELS) if f.broken == ('depth',))
    assert not gone.apply(inputs, CHANNELS)[:, 3].any()


def test_a_quarter_fails_and_it_is_known_which():
    inputs = torch.randn(8, 4, 12, 16)
    first, second = failures_of('part', CHANNELS)
    assert (first.broken, second.broken) == (('rgb',), ('depth',))
    found = second.apply(inputs, CHANNELS, seed=3)
    region = second.region(8, (12, 16), seed=3)
    assert torch.equal(found[:, 3] == 0, region)
    torch.testing.assert_close(found[:, :3], inputs[:, :3])
    assert region.flatten(1).sum(1).tolist() == [6 * 8] * 8
    assert len({tuple(r.flatten().tolist()) for r in region}) > 1
    coarse = second.region(8, (6, 8), seed=3)
    assert torch.equal(coarse.repeat_interleave(2, 1).repeat_interleave(2, 2), region)
    assert not torch.equal(second.region(8, (12, 16), seed=4), region)


def test_noise_has_the_published_size():
    inputs = torch.randn(2, 4, 60, 80)
    for failure in failures_of('nm', CHANNELS):
        found = failure.apply(inputs, CHANNELS)
        extreme = inputs[:, :3].amax(dim=(1, 2, 3), keepdim=True)
        change = (found - inputs).abs()
        # What was not salted has moved by the Gaussian alone.
        assert float(change.median()) == pytest.approx(0.6745 * failure.deviation, rel=0.35)
        salted = (found[:, :3] - extreme).abs() < 4 * failure.deviation
        assert float(salted.float().mean()) > failure.share / 2 * 0.9


def test_an_expectation_weighs_by_how_often():
    scores = {f: {1: 10.0, 2: 4.0}[len(f.broken)] for f in failures_of('emm', 'abc')}
    q = 0.2
    weights = [0.8**3, 3 * q * 0.8**2, 3 * q**2 * 0.8]
    expected = (weights[0] * 20 + weights[1] * 10 + weights[2] * 4) / sum(weights)
    assert expectation(20.0, scores, 3, q) == pytest.approx(expected)
    assert mean_of(scores) == 7
