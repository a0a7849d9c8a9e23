"""Densities of tokens together and apart, against what is known of Gaussians."""

import math

import pytest
import torch

from mango_mm.explicit.token_density import TokenDensity, normalised

N, D = 4, 6


def tokens(count, same=0.0):
    """Two modalities; ``same`` is how much of the second is the first."""
    a = torch.randn(count, N, D)
    b = same * a + math.sqrt(1 - same**2) * torch.randn(count, N, D)
    return {'a': a, 'b': b}


def fitted(same, iterations=300):
    density = TokenDensity(('a', 'b'), D, N, depth=1, num_heads=1).train()
    optimizer = torch.optim.Adam([p for p in density.parameters() if p.requires_grad], 5e-3)
    for _ in range(iterations):
        optimizer.zero_grad()
        density.loss(tokens(64, same)).backward()
        optimizer.step()
    return density.eval()


def test_information_is_there_only_between_modalities_that_share_it():
    related, apart = fitted(0.95), fitted(0.0)
    pairs = tokens(200, 0.95)
    mismatched = {**pairs, 'b': pairs['b'].roll(1, 0)}
    matched = related.statistics(pairs)[:, 2:].mean(1)
    wrong = related.statistics(mismatched)[:, 2:].mean(1)
    assert matched.mean() > 0.15  # nats per dimension
    assert (matched > wrong).double().mean() > 0.98
    assert apart.statistics(tokens(200))[:, 2:].mean(1).abs().mean() < 0.05
    # Each modality by itself is as likely in the wrong pair: only the pair is wrong.
    alone = related.statistics(pairs)[:, :2], related.statistics(mismatched)[:, :2]
    torch.testing.assert_close(alone[0].sum(0), alone[1].sum(0))


def test_statistics_are_the_flows_own_densities():
    density = TokenDensity(('a', 'b'), D, N, depth=1, num_heads=1)
    with torch.no_grad():
        for p in density.parameters():
            p.add_(0.1 * torch.randn_like(p))
    density.eval()
    given = tokens(3, 0.5)
    found = density.statistics(given)
    clean = {m: normalised(x) for m, x in given.items()}
    joint = density.fusion(clean).log_prob
    alone = {}
    for index, m in enumerate('ab'):
        masks = {k: torch.full((3, N), k == m) for k in 'ab'}
        shown = {k: x * masks[k][..., None] for k, x in clean.items()}
        alone[m] = density.fusion(shown, masks=masks).log_prob
        torch.testing.assert_close(found[:, index].float(), -alone[m] / (N * D))
    information = (found[:, 2:].sum(1) * N * D).float()
    torch.testing.assert_close(information, joint - alone['a'] - alone['b'], atol=1e-4, rtol=1e-4)


def test_strangeness_is_a_mahalanobis_distance_and_a_lack_of_information():
    pytest.importorskip('sklearn')
    density = TokenDensity(('a', 'b'), D, N)
    samples = torch.randn(5000, 4).double() * torch.tensor([1.0, 0.1, 5.0, 2.0]).double() + 3
    density.calibrate(samples)
    found = density.strangeness(samples)
    # Chi-squared of 4 dimensions; the signed term has mean 0.
    assert found.mean().item() == pytest.approx(4, rel=0.05)
    spread = math.hypot(5.0, 2.0) / 2
    for steps in (3.0, -3.0):  # both parts of i that much lower, or higher
        moved = density.mean - steps * torch.tensor([0, 0, spread, spread]).double()
        distance = (steps * spread / 5) ** 2 + (steps * spread / 2) ** 2
        wanted = distance + 2 * steps * abs(steps)
        assert density.strangeness(moved[None]).item() == pytest.approx(wanted, abs=1.5)
    assert density.strangeness(density.mean[None]).item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match='more than 4 samples with finite statistics; got 3'):
        density.calibrate(samples[:3])


def test_means_of_positions_are_taken_off_and_resized_to_other_grids():
    density = TokenDensity(('a', 'b'), D, window=(2, 2), grid=(4, 4))
    means = {m: torch.randn(1, 1, D).expand(1, 16, D)[0] for m in 'ab'}
    density.center_on(means)
    given = {m: torch.randn(2, 24, D) for m in 'ab'}
    shifted = density.centred(given, (4, 6))
    for m in 'ab':
        torch.testing.assert_close(shifted[m], normalised(given[m]) - means[m][:1])
    assert density.statistics(given, grid=(4, 6)).isfinite().all()
    with pytest.raises(ValueError, match='two modalities or more'):
        TokenDensity(('a',), D, N)


def test_a_sample_that_is_all_padding_scores_zero_and_never_nan():
    density = TokenDensity(('a', 'b'), D, N, depth=1, num_heads=1).eval()
    density.calibrate(density.statistics(tokens(40, 0.5)))
    given = tokens(3)
    masks = {m: torch.ones(3, N, dtype=torch.bool) for m in 'ab'}
    for m in 'ab':
        given[m][1] = float('nan')
        masks[m][1] = False
    found = density.statistics(given, masks)
    assert not found[1].any()
    scores = density.strangeness(found)
    assert scores.isfinite().all()
    assert scores[1] == 0
    assert (scores[[0, 2]] != 0).all()
