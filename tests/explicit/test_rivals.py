"""Every rival's equation, by numpy or another library."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy

from mango_mm.explicit import rivals
from mango_mm.explicit.rivals.co_belief import PENALTIES
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


def dempster(first, second):
    """Masses over single classes and, last, over all of them, by summing over every pair."""
    classes = len(first) - 1
    joint, conflict = np.zeros(classes + 1), 0.0
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if i == j:
                joint[i] += a * b
            elif classes in (i, j):  # one of them only says: any class
                joint[min(i, j)] += a * b
            else:
                conflict += a * b
    return joint / (1 - conflict)


@pytest.mark.parametrize('modalities', [2, 3])
def test_opinions_are_joined_by_dempsters_rule(modalities):
    logits = 2 * torch.randn(modalities, 3, 5, 2, 2)
    found = rivals.DempsterRule()(logits)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3, 2, 2))
    for place in np.ndindex(3, 2, 2):
        opinions = []
        for m in range(modalities):
            e = np.log1p(np.exp(logits[m, place[0], :, place[1], place[2]].numpy()))
            opinions.append(np.append(e, 5) / (e.sum() + 5))
        joint = opinions[0]
        for opinion in opinions[1:]:
            joint = dempster(joint, opinion)
        np.testing.assert_allclose(
            found[place[0], :, place[1], place[2]], joint[:-1] + joint[-1] / 5, atol=1e-6
        )


def test_who_says_nothing_changes_no_opinion_of_the_other():
    logits = torch.stack([2 * torch.randn(3, 5), torch.full((3, 5), -50.0)])
    alone = torch.nn.functional.softplus(logits[0]) + 1
    torch.testing.assert_close(rivals.DempsterRule()(logits), alone / alone.sum(1, keepdim=True))


def test_confidences_are_predicted_as_by_scikit_learn():
    from sklearn.linear_model import RidgeCV

    seen = {'rgb': torch.randn(80, 2, 6) * 3 + 1}
    pooled = seen['rgb'].double().mean(1)
    true = torch.sigmoid(0.4 * pooled[:, 0] + 0.3 * torch.randn(80).double())
    rule = rivals.CoBelief()
    rule.fit(seen, true[None])
    model = RidgeCV(PENALTIES)
    model.fit(((pooled - pooled.mean(0)) / pooled.std(0)).numpy(), true.logit().numpy())
    fresh = torch.randn(20, 2, 6)
    x = (fresh.double().mean(1) - pooled.mean(0)) / pooled.std(0)
    expected = 1 / (1 + np.exp(-model.predict(x.numpy())))
    np.testing.assert_allclose(rule.confidence('rgb', fresh), expected, atol=1e-6)


def test_co_belief_is_that_of_its_release(logits):
    """With two modalities: its rule for the test, written with a column a sample."""
    rule = rivals.CoBelief()
    described = {m: torch.randn(3, 2, 4) for m in ('rgb', 'depth')}
    seen = {m: torch.randn(50, 2, 4) for m in described}
    rule.fit(seen, torch.rand(2, 50))
    t, i = (rule.confidence(m, described[m]).numpy() for m in described)
    holo_t, holo_i = np.log(i) / np.log(t * i), np.log(t) / np.log(t * i)
    p = softmax(logits.numpy(), axis=2)
    du_t, du_i = np.abs(p - 1 / 5).mean(axis=(2, 3, 4))
    sure = du_t > du_i
    b_t = (t + holo_t) * np.where(sure, 1, du_t / du_i)
    b_i = (i + holo_i) * np.where(sure, du_i / du_t, 1)
    w = softmax(np.stack([b_t, b_i]), axis=0)[..., None, None, None]
    expected = softmax((w * logits.numpy()).sum(axis=0), axis=1)
    np.testing.assert_allclose(rule(logits, described).numpy(), expected, atol=1e-5)
    assert not np.allclose(w[0], w[1])
    three = rivals.CoBelief()
    names = ('a', 'b', 'c')
    three.fit({m: torch.randn(50, 2, 4) for m in names}, torch.rand(3, 50))
    same = three(logits[:1].repeat(3, 1, 1, 1, 1), {m: torch.randn(3, 2, 4) for m in names})
    torch.testing.assert_close(same, logits[0].softmax(1))


def test_the_oracle_uses_the_true_state():
    weights, p = StateWeights(('rgb', 'depth')), torch.rand(3, 2, 5)
    told = rivals.oracle_mixture
    torch.testing.assert_close(told(p, weights, ()), p.mean(0))
    torch.testing.assert_close(told(p, weights, ('depth',)), p[0])
    torch.testing.assert_close(told(p, weights, ('rgb',)), p[1])
    torch.testing.assert_close(told(p, weights, ('rgb',), blamable=False), p[:2].mean(0))
    torch.testing.assert_close(told(p, weights, ('rgb', 'depth')), p.mean(0))
