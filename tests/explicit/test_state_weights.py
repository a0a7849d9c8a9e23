"""Weights of predictions, against scipy's optimiser and by hand."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mango_mm.explicit.state_weights import (
    StateWeights,
    mix,
    stacked_regression,
    stacking_weights,
)


def test_stacking_finds_the_likeliest_mixture():
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, size=(400, 4))
    p[:, 2] = np.clip(p[:, 2] + 0.1, 0, 1)

    def loss(free):
        w = np.exp(free) / np.exp(free).sum()
        return -np.log(p @ w).mean()

    best = minimize(
        loss, np.zeros(4), method='Nelder-Mead', options=dict(maxiter=20000, fatol=1e-12)
    )
    found = stacking_weights(torch.from_numpy(p), steps=5000)
    assert found.sum() == pytest.approx(1)
    assert -np.log(p @ found.numpy()).mean() == pytest.approx(best.fun, abs=1e-6)
    # A perfect predictor gets everything, a useless one nothing.
    perfect = torch.tensor([[1.0, 0.5, 0.01]]).repeat(50, 1)
    torch.testing.assert_close(stacking_weights(perfect), torch.tensor([1.0, 0, 0]).double())
    with pytest.raises(ValueError, match='got 0'):
        stacking_weights(torch.empty(0, 3))


def test_every_state_uses_what_it_may():
    weights = StateWeights(('rgb', 'depth'))
    torch.testing.assert_close(
        weights.weights,
        torch.tensor([[1, 1, 1], [0, 3, 0], [3, 0, 0], [1.5, 1.5, 0]], dtype=torch.double) / 3,
    )
    weights.fit(torch.tensor([[0.9, 0.2, 0.4], [0.2, 0.9, 0.6]]).repeat(30, 1))
    ok, rgb_broken, depth_broken, apart = weights.weights
    torch.testing.assert_close(ok.sum(), torch.ones((), dtype=torch.double))
    assert ok[0] > 0.3
    assert rgb_broken.tolist() == [0, 1, 0]
    assert depth_broken.tolist() == [1, 0, 0]
    assert apart.tolist() == [0.5, 0.5, 0]
    states = torch.tensor([[0.7, 0.0, 0.3, 0.0]])
    torch.testing.assert_close(weights(states)[0], (0.7 * ok + 0.3 * depth_broken).float())


def test_what_is_absent_has_no_weight():
    weights = StateWeights(('a', 'b', 'c'))
    states = torch.tensor([[0.5, 0.2, 0.0, 0.0, 0.0, 0.0, 0.3]])
    gone = torch.tensor([[True, True, False]])
    found = weights(states, gone)[0]
    assert found[2] == found[3] == 0
    assert found.sum() == pytest.approx(1)
    # a is broken and c absent: b; c apart and c absent: a and b.
    torch.testing.assert_close(found[:2], torch.tensor([0.25 + 0.15, 0.25 + 0.2 + 0.15]))
    # What is broken is all there is: better than nothing.
    only = weights(torch.tensor([[0.0, 1, 0, 0, 0, 0, 0]]), torch.tensor([[True, False, False]]))
    assert only.tolist() == [[1, 0, 0, 0]]


def test_what_has_no_weight_may_be_nan():
    p = torch.rand(3, 2, 4, 5, 5)
    p[1, 0] = torch.nan
    mixed = mix(p, torch.tensor([[0.4, 0.0, 0.6], [0.2, 0.3, 0.5]]))
    torch.testing.assert_close(mixed[0], 0.4 * p[0, 0] + 0.6 * p[2, 0])
    torch.testing.assert_close(mixed[1], 0.2 * p[0, 1] + 0.3 * p[1, 1] + 0.5 * p[2, 1])


def test_stacked_regression_finds_the_best_average():
    rng = np.random.default_rng(1)
    common = rng.normal(size=(300, 1))
    errors = rng.normal(size=(300, 4)) * [1.0, 0.7, 1.5, 0.9] + common * [0.1, 0.9, 0.2, 2.0]

    def loss(w):
        return np.square(errors @ w).mean()

    best = minimize(
        loss, np.full(4, 0.25), method='SLSQP', bounds=[(0, 1)] * 4, options=dict(ftol=1e-14),
        constraints=[dict(type='eq', fun=lambda w: w.sum() - 1)],
    )  # fmt: skip
    found = stacked_regression(torch.from_numpy(errors)).numpy()
    np.testing.assert_allclose(found, best.x, atol=1e-5)
    assert (found == 0).any()  # a bound is met: the simplex matters here
    assert found.sum() == pytest.approx(1)
    # The same prediction twice, and a perfect one.
    twice = stacked_regression(torch.from_numpy(errors[:, [0, 0]]))
    assert twice.sum() == pytest.approx(1)
    perfect = torch.tensor([[0.0, 0.5], [0.0, -1.0]])
    torch.testing.assert_close(stacked_regression(perfect), torch.tensor([1.0, 0]).double())
    with pytest.raises(ValueError, match='got 0'):
        stacked_regression(torch.empty(0, 3))


def test_values_are_stacked_by_their_errors():
    weights = StateWeights(('rgb', 'depth'))
    weights.fit(torch.tensor([[0.0, 1.0, 2.0], [0.0, -1.0, 1.0]]).repeat(20, 1), values=True)
    assert weights.weights[0].tolist() == pytest.approx([1, 0, 0], abs=1e-6)
    assert weights.weights[1].tolist() == [0, 1, 0]
    assert weights.weights[3].tolist() == [0.5, 0.5, 0]
