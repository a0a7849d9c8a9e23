"""Every rival's equation, by numpy or another library."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy

from mango_mm.explicit import rivals
from mango_mm.explicit.state_weights import StateWeights


@pytest.fixture
def logits():
    return 2 * torch.randn(2, 3, 5, 4, 6)  # modalities, samples, classes, height, width


def test_temperatures_minimise_the_cross_entropy(logits):
    rule = rivals.TemperatureScaling()
    rows = 4 * torch.randn(2, 300, 5)
    labels = torch.distributions.Categorical(logits=rows.mean(0)).sample()
    rule.fit(rows, labels)
    for m in range(2):

        def loss(t, m=m):
            return -log_softmax(rows[m].numpy() / t, axis=1)[np.arange(300), labels].mean()

        best = minimize_scalar(loss, bounds=(0.1, 200), method='bounded')
        assert loss(float(rule.temperatures[m])) == pytest.approx(best.fun, abs=1e-5)
    t = rule.temperatures.numpy()
    expected = np.mean([softmax(logits[m].numpy() / t[m], axis=1) for m in range(2)], axis=0)
    np.testing.assert_allclose(rule(logits).numpy(), expected, atol=1e-5)


def test_noisy_or_softens_whoever_is_less_sure_than_usual(logits):
    rule = rivals.NoisyOr()
    rows = 2 * torch.randn(2, 200, 5)
    rule.fit(rows)
    usual = [entropy(softmax(rows[m].numpy(), axis=1), axis=1).mean() for m in range(2)]
    joint = np.ones((3, 5, 4, 6))
    for m in range(2):
        own = entropy(softmax(logits[m].numpy(), axis=1), axis=1).mean(axis=(1, 2))
        ratio = np.minimum(1, usual[m] / own)[:, None, None, None]
        joint *= 1 - softmax(ratio * logits[m].numpy(), axis=1)
    expected = (1 - joint) / (1 - joint).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(rule(logits).numpy(), expected, atol=1e-5)


def test_energies_weigh_logits(logits):
    x = logits.numpy()
    weights = np.maximum(0, logsumexp(x, axis=2, keepdims=True) / 10)
    expected = softmax((weights * x).sum(axis=0), axis=1)
    np.testing.assert_allclose(rivals.EnergyWeights()(logits).numpy(), expected, atol=1e-5)


def test_the_gate_refuses_whoever_is_far_off(logits):
    gate = rivals.MahalanobisGate(rate=0.05)
    seen = {m: torch.randn(500, 2, 3) for m in ('rgb', 'depth')}
    gate.fit(seen, {m: torch.randn(200, 2, 3) for m in seen})
    pooled = seen['rgb'].double().mean(1)
    covariance = 0.9 * torch.cov(pooled.T) + 0.1 * torch.cov(
        pooled.T
    ).diagonal().mean() * torch.eye(3)
    off = torch.ones(1, 2, 3)
    step = (off.mean(1) - pooled.mean(0)).double()[0]
    expected = step @ torch.linalg.inv(covariance) @ step
    torch.testing.assert_close(gate.distance('rgb', off)[0], expected)
    fresh = torch.randn(2000, 2, 3)
    assert (gate.distance('rgb', fresh) > gate.limits['rgb']).float().mean() < 0.1
    described = {m: torch.zeros(3, 2, 3) for m in seen}
    described['depth'][1] = 50
    described['rgb'][2] = described['depth'][2] = 50
    found, p = gate(logits, described), logits.softmax(2)
    torch.testing.assert_close(found[0], p[:, 0].mean(0))
    torch.testing.assert_close(found[1], p[0, 1])
    torch.testing.assert_close(found[2], p[:, 2].mean(0))  # all are: then all count


def test_the_oracle_uses_the_true_state():
    weights, p = StateWeights(('rgb', 'depth')), torch.rand(3, 2, 5)
    told = rivals.oracle_mixture
    torch.testing.assert_close(told(p, weights, ()), p.mean(0))
    torch.testing.assert_close(told(p, weights, ('depth',)), p[0])
    torch.testing.assert_close(told(p, weights, ('rgb',)), p[1])
    torch.testing.assert_close(told(p, weights, ('rgb',), blamable=False), p[:2].mean(0))
    torch.testing.assert_close(told(p, weights, ('rgb', 'depth')), p.mean(0))
