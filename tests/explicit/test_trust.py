"""The posterior over which sensors work, against Bayes' rule, scipy and counted false alarms."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from mango_mm.explicit.fit_trust import fit_trust
from mango_mm.explicit.sensor_density import SensorDensity
from mango_mm.explicit.sensor_states import state_log_odds, state_names
from mango_mm.explicit.trust import SensorTrust
from mango_mm.explicit.usual import conformal_quantile
from mango_mm.explicit.window_descriptor import WindowDescriptor, describe_windows


def gaussians(count):
    """A joint Gaussian of modalities of 2, 3 and 4 numbers, and their places."""
    rng = np.random.default_rng(0)
    sizes = [2, 3, 4][:count]
    edges = np.cumsum([0, *sizes])
    total = int(edges[-1])
    root = rng.normal(size=(total, total)) / 2 + np.eye(total)
    parts = [list(range(a, b)) for a, b in zip(edges, edges[1:])]
    return root @ root.T, parts, rng


@pytest.mark.parametrize('count', [2, 3])
def test_the_posterior_of_gaussian_modalities_is_bayes(count):
    covariance, parts, rng = gaussians(count)
    wide = [9.0 * covariance[np.ix_(p, p)] for p in parts]

    def ln_p(x, places):
        chosen = covariance[np.ix_(places, places)]
        return multivariate_normal(cov=chosen).logpdf(x[places])

    everything = sum(parts, [])
    names = state_names(('a', 'b', 'c')[:count])
    x = rng.multivariate_normal(np.zeros(len(covariance)), 2 * covariance)
    prior = rng.dirichlet(np.ones(len(names)))
    evidence = [ln_p(x, everything)]
    for index, own in enumerate(parts):  # broken
        others = sum((p for i, p in enumerate(parts) if i != index), [])
        broad = multivariate_normal(cov=wide[index]).logpdf(x[own])
        evidence.append(ln_p(x, others) + broad)
    for index in range(1 if count == 2 else count):  # apart
        others = sum((p for i, p in enumerate(parts) if i != index), [])
        evidence.append(ln_p(x, others) + ln_p(x, parts[index]))
    joint = np.exp(np.array(evidence) - max(evidence)) * prior
    truth = joint / joint.sum()

    apart, broken = [], []
    for index, own in enumerate(parts):
        others = sum((p for i, p in enumerate(parts) if i != index), [])
        apart.append(ln_p(x, others) + ln_p(x, own) - ln_p(x, everything))
        broken.append(multivariate_normal(cov=wide[index]).logpdf(x[own]) - ln_p(x, own))
    odds = state_log_odds(torch.tensor(apart), torch.tensor(broken))
    found = (odds + torch.tensor(prior).log() - np.log(prior[0])).softmax(dim=-1)
    torch.testing.assert_close(found, torch.tensor(truth), rtol=0, atol=1e-9)


def test_one_flow_has_ln_p_of_every_set_of_modalities():
    density = SensorDensity(('a', 'b', 'c'), 6, (2, 3), depth=1).double()
    for parameter in density.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    tokens = {m: torch.randn(4, 6, 6, dtype=torch.double) for m in 'abc'}

    def ln_p(names):
        masks = {m: torch.full((4, 6), m in names) for m in 'abc'}
        shown = {m: x.masked_fill(~masks[m][..., None], 0.0) for m, x in tokens.items()}
        return density.flow(shown, masks=masks, grid=(2, 3)).log_prob

    alone, information = density.log_probs(tokens)
    assert alone.shape == information.shape == (4, 3, 6)
    for index, m in enumerate('abc'):
        others = set('abc') - {m}
        torch.testing.assert_close(alone[:, index].sum(1), ln_p({m}))
        expected = ln_p(set('abc')) - ln_p(others) - ln_p({m})
        torch.testing.assert_close(information[:, index].sum(1), expected)
        assert expected.abs().max() > 1e-3
    # What is absent is masked out of every view.
    present = torch.tensor([[True, True, False]]).repeat(4, 1)
    alone, information = density.log_probs(tokens, present)
    expected = ln_p({'a', 'b'}) - ln_p({'a'}) - ln_p({'b'})
    torch.testing.assert_close(information[:, 0].sum(1), expected)
    assert not information[:, 2].any()
    assert not alone[:, 2].any()


def test_descriptors_are_means_deviations_and_whitened_principal_components():
    pyramid = [torch.randn(5, 3, 8, 12), torch.randn(5, 4, 4, 6)]
    windows = describe_windows(pyramid, (2, 3))
    assert windows.shape == (5, 6, 14)
    cut = pyramid[0][2, 1, 4:, 4:8]
    assert windows[2, 4, 1] == pytest.approx(float(cut.mean()), abs=1e-5)
    assert windows[2, 4, 3 + 1] == pytest.approx(float(cut.std(correction=0)), abs=1e-5)
    many = torch.randn(400, 1, 10) @ torch.randn(10, 10)
    descriptor = WindowDescriptor(10, 1, directions=4)
    descriptor.fit(many)
    tokens, energies = descriptor(many)
    scaled = (many - descriptor.center) * descriptor.scale
    reference = PCA(4, whiten=True).fit_transform(scaled[:, 0].numpy())
    undone = 8 * torch.atanh(tokens[:, 0] / 8)
    torch.testing.assert_close(
        undone.abs(), torch.from_numpy(reference).float().abs(), rtol=2e-2, atol=2e-2
    )
    assert energies.shape == (400, 1, 2)
    # Something in a direction that was never seen is in the energy alone.
    strange = descriptor(many[:1] + 5 * torch.randn(1, 1, 10))[1]
    assert strange[0, 0, 0] > energies[..., 0].max()


def shared_scenes(count, names=('rgb', 'depth'), features=12, seed=1):
    """Windows of modalities that show the same scene, each through a map of its own."""
    maps = torch.Generator().manual_seed(0)
    mixing = {m: torch.randn(3, features, generator=maps) for m in names}
    own = torch.Generator().manual_seed(seed)
    scene = torch.randn(count, 4, 3, generator=own)
    noise = {m: 0.3 * torch.randn(count, 4, features, generator=own) for m in names}
    return {m: scene @ mixing[m] + noise[m] for m in names}


def fit(names, shown):
    """A trust in ``names``, fitted to and calibrated on scenes drawn in the order ``shown``."""
    torch.manual_seed(0)
    trust = SensorTrust(names, 12, (2, 2), directions=6, depth=1, rate=0.05)
    seen = shared_scenes(600, shown)
    trust.fit_descriptors(seen)
    fit_trust(trust, seen, iterations=100, batch_size=32)
    trust.calibrate(shared_scenes(200, shown, seed=2))
    return trust


@pytest.fixture(scope='module')
def fitted():
    return fit(('rgb', 'depth'), ('rgb', 'depth'))


def test_false_alarms_on_fresh_clean_samples_are_as_rare_as_stated(fitted):
    rates = [float(fitted(shared_scenes(500, seed=s)).alarm.float().mean()) for s in range(10, 14)]
    # rate .05, of 200 samples: a Beta(191, 10), deviation .015; then 2,000 draws
    assert 0.005 < np.mean(rates) < 0.05 + 3 * 0.016
    assert 0 < conformal_quantile(torch.arange(200.0), 0.05) < 200


def test_few_samples_to_calibrate_on_keep_the_rate_too(fitted):
    """Judged by moments that they set themselves, forty samples gave .076 for .05."""
    trust = copy.deepcopy(fitted)
    rates = []
    for seed in range(100, 116):
        trust.calibrate(shared_scenes(40, seed=seed))
        fresh = shared_scenes(300, seed=seed + 100)
        rates.append(float(trust(fresh).alarm.float().mean()))
    # the second largest of 40: a Beta(39, 2) each time, deviation .033
    assert 0.02 < np.mean(rates) < 2 / 41 + 3 * 0.033 / 16**0.5


def test_a_strange_sensor_is_blamed_and_a_wrong_scene_is_noticed(fitted):
    clean = shared_scenes(100, seed=3)
    strange = {**clean, 'depth': 6 * torch.randn(100, 4, 12)}
    out = fitted(strange)
    assert out.alarm.float().mean() > 0.95
    assert out.trust[:, 0].mean() > 0.9 > 0.1 > out.trust[:, 1].mean()
    frozen = {**clean, 'depth': clean['depth'].roll(1, dims=0)}
    out = fitted(frozen)
    assert out.alarm.float().mean() > 0.9
    names = fitted.states
    assert out.states.mean(0)[names.index('apart')] > 0.8  # nobody can tell which
    torch.testing.assert_close(out.trust.mean(0)[0], out.trust.mean(0)[1], atol=0.1, rtol=0)
    assert fitted(clean).trust.mean() > 0.85


def test_of_one_colour_everywhere_is_blamed_though_each_window_is_a_usual_one(fitted):
    clean = shared_scenes(100, seed=3)
    one = {m: x[:, :1].expand_as(x).contiguous() for m, x in clean.items()}
    for index, m in enumerate(clean):
        out = fitted({**clean, m: one[m]})
        assert out.alarm.float().mean() > 0.9
        assert (out.trust.argmin(dim=1) == index).float().mean() > 0.9
        assert out.states.mean(0)[fitted.states.index(f'{m} broken')] > 0.8
    same = {**clean, 'depth': one['depth']}
    assert fitted.descriptors['depth'].variety(same['depth']).max() < -13  # ln 1e-6


def test_the_frozen_one_of_three_is_named():
    names = ('a', 'b', 'c')
    trust = fit(names, names)
    clean = shared_scenes(100, names, seed=3)
    for index, m in enumerate(names):
        out = trust({**clean, m: clean[m].roll(1, dims=0)})
        assert (out.trust.argmin(dim=1) == index).float().mean() > 0.9
        assert out.states.mean(0)[trust.states.index(f'{m} apart')] > 0.7


def test_trust_falls_as_a_sensor_fades(fitted):
    clean = shared_scenes(200, seed=8)
    noise = 6 * torch.randn(200, 4, 12, generator=torch.Generator().manual_seed(9))
    trust = []
    for share in torch.linspace(0, 1, 9):
        faded = (1 - share) * clean['depth'] + share * noise
        trust.append(fitted({**clean, 'depth': faded}).trust.mean(0))
    depth, rgb = torch.stack(trust)[:, 1], torch.stack(trust)[:, 0]
    assert (depth.diff() <= 1e-3).all()
    assert depth[0] > 0.85 > 0.1 > depth[-1]
    assert rgb[-1] > 0.9


def test_a_map_shows_where(fitted):
    clean = shared_scenes(100, seed=4)
    broken = {**clean, 'depth': clean['depth'].clone()}
    broken['depth'][:, 3] = 6 * torch.randn(100, 12)
    before, after = fitted(clean).maps[:, 1], fitted(broken).maps[:, 1]
    assert after.shape == (100, 2, 2)
    fallen = (before - after).mean(0)
    assert fallen[1, 1] == fallen.max()
    assert fallen[1, 1] > 0.3


def test_samples_do_not_depend_on_their_batch_nor_on_what_is_absent(fitted):
    clean = shared_scenes(9, seed=5)
    together = fitted(clean)
    for i in range(9):
        single = fitted({m: x[i : i + 1] for m, x in clean.items()})
        torch.testing.assert_close(single.states, together.states[i : i + 1], atol=1e-5, rtol=1e-4)
    present = torch.tensor([[True, False]]).repeat(9, 1)
    other = {**clean, 'depth': torch.randn(9, 4, 12)}
    one, two = fitted(clean, present), fitted(other, present)
    torch.testing.assert_close(one.states, two.states)
    assert not one.trust[:, 1].any()
    assert one.trust[:, 0].mean() > 0.8
    assert not one.states[:, fitted.states.index('apart')].any()


def test_the_order_of_modalities_names_nobody_else(fitted):
    """The order of a batch changes nothing; that of a fit only what a fit leaves to chance."""
    clean = shared_scenes(200, seed=7)
    strange = {**clean, 'depth': clean['depth'].clone(), 'rgb': clean['rgb'].clone()}
    strange['depth'][:60] = 6 * torch.randn(60, 4, 12)
    strange['rgb'][60:120] = 6 * torch.randn(60, 4, 12)
    torch.testing.assert_close(
        fitted(dict(reversed(strange.items()))).states, fitted(strange).states, rtol=0, atol=0
    )
    other = fit(('depth', 'rgb'), ('rgb', 'depth'))
    here, there = fitted(strange), other(strange)
    assert (here.alarm == there.alarm).float().mean() > 0.95
    assert (here.trust - there.trust.flip(1)).abs().mean() < 0.05


def test_what_is_not_finite_is_broken_and_nothing_else_is_nan(fitted):
    clean = shared_scenes(4, seed=6)
    broken = {**clean, 'depth': clean['depth'].clone()}
    broken['depth'][1, 2, 3] = torch.nan
    out = fitted(broken)
    assert out.alarm[1]
    assert out.trust[1, 1] == 0
    assert out.trust[1, 0] == 1
    assert out.states.isfinite().all()
    assert out.maps.isfinite().all()
    torch.testing.assert_close(out.states[[0, 2, 3]], fitted(clean).states[[0, 2, 3]])


def test_a_trust_is_the_same_after_saving(fitted, tmp_path):
    torch.save(fitted.state_dict(), tmp_path / 'trust.pth')
    other = SensorTrust(('rgb', 'depth'), 12, (2, 2), directions=6, depth=1, rate=0.05).eval()
    other.load_state_dict(torch.load(tmp_path / 'trust.pth', weights_only=True))
    clean = shared_scenes(5, seed=7)
    torch.testing.assert_close(other(clean).states, fitted(clean).states)


def test_what_cannot_be_promised_is_refused(fitted):
    with pytest.raises(RuntimeError, match='not calibrated'):
        SensorTrust(('rgb', 'depth'), 12, (2, 2), directions=6)(shared_scenes(3))
    with pytest.raises(ValueError, match=r'0\.05 takes 19 clean samples or more; got 18'):
        fitted.calibrate(shared_scenes(18))
    bad = shared_scenes(40)
    bad['rgb'][3] = torch.inf
    with pytest.raises(ValueError, match="those of 'rgb' are not"):
        fitted.calibrate(bad)
    with pytest.raises(ValueError, match='at most 5 modalities'):
        SensorTrust(tuple('abcdef'), 4, (2, 2))
    with pytest.raises(ValueError, match='two modalities or more'):
        SensorTrust(('rgb',), 4, (2, 2))
    with pytest.raises(ValueError, match='two samples or more; got 1'):
        WindowDescriptor(4, 1, 2).fit(torch.randn(1, 1, 4))
