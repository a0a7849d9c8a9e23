"""FlowDensity against torch.distributions and against an integral."""

import math

import pytest
import torch

from mango_mm.flows import ActNorm, AffineCoupling, Chain, FlowDensity


def shaken(flow):
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return flow.eval()


def test_an_affine_flow_has_the_density_of_a_normal():
    layer = ActNorm(3).eval()
    with torch.no_grad():
        layer.log_scale.copy_(torch.tensor([0.5, -1.0, 0.2]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -2.0]))
    x = torch.randn(4, 5, 3)
    scale = torch.exp(-layer.log_scale)
    expected = torch.distributions.Normal(-layer.bias * scale, scale).log_prob(x).sum((1, 2))
    torch.testing.assert_close(FlowDensity(layer).log_prob(x), expected)


def test_the_density_of_a_toy_integrates_to_one():
    density = FlowDensity(shaken(Chain(AffineCoupling(2), AffineCoupling(2, swap=True))))
    axis = torch.linspace(-14, 14, 1401)
    grid = torch.cartesian_prod(axis, axis)[:, None, :]
    with torch.no_grad():
        mass = density.log_prob(grid).double().exp().sum() * (28 / 1400) ** 2
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_bits_per_dim_is_nll_over_ln_2():
    density = FlowDensity(shaken(AffineCoupling(3)))
    x = torch.randn(4, 5, 3)
    expected = -density.log_prob(x) / 15 / math.log(2)
    torch.testing.assert_close(density.bits_per_dim(x), expected)


def test_padding_counts_neither_in_the_density_nor_in_its_dimensions():
    density = FlowDensity(shaken(AffineCoupling(3)))
    x = torch.randn(1, 5, 3)
    padded = torch.cat([x, torch.full((1, 2, 3), 9.0)], 1)
    mask = torch.arange(7)[None] < 5
    torch.testing.assert_close(density.nll_per_dim(padded, mask=mask), density.nll_per_dim(x))


def test_every_score_of_a_sample_that_is_all_padding_is_zero():
    density = FlowDensity(shaken(AffineCoupling(3)))
    x = torch.full((2, 5, 3), float('nan'))
    x[1] = torch.randn(5, 3)
    mask = torch.tensor([[False] * 5, [True] * 5])
    for score in (density.log_prob, density.nll_per_dim, density.bits_per_dim):
        found = score(x, mask=mask)
        assert found[0] == 0, score
        assert found[1] != 0, score
        assert found.isfinite().all()


def test_samples_follow_the_density():
    layer = ActNorm(1).eval()
    with torch.no_grad():
        layer.log_scale.fill_(-math.log(2.0))
        layer.bias.fill_(-1.5)  # x = 2 z + 3
    x = FlowDensity(layer).sample(2000, num_tokens=5, dim=1)
    assert float(x.mean()) == pytest.approx(3, abs=0.1)
    assert float(x.std()) == pytest.approx(2, abs=0.1)


def test_temperature_zero_gives_the_mode_and_below_is_an_error():
    density = FlowDensity(ActNorm(2).eval())
    assert not density.sample(3, num_tokens=2, dim=2, temperature=0).any()
    with pytest.raises(ValueError, match='temperature must not be negative; got -1'):
        density.sample(3, num_tokens=2, dim=2, temperature=-1)


def test_training_a_flow_lowers_its_nll_on_correlated_tokens():
    first = torch.randn(256, 1, 1)
    x = torch.cat([first, first + 0.1 * torch.randn(256, 1, 1)], 2)
    density = FlowDensity(Chain(AffineCoupling(2), AffineCoupling(2, swap=True)))
    optimizer = torch.optim.Adam(density.parameters(), 1e-2)
    before = float(density.nll_per_dim(x).mean().detach())
    for _ in range(100):
        optimizer.zero_grad()
        density.nll_per_dim(x).mean().backward()
        optimizer.step()
    assert float(density.nll_per_dim(x).mean().detach()) < before - 0.3
