"""Weights of predictions, against scipy's optimiser and by hand."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mango_mm.explicit.state_weights import StateWeights, mix, stacking_weights


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
