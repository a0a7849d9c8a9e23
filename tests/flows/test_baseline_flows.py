"""Layers of the baseline flows against other implementations of their formulas, and hard places."""

import math

import pytest
import torch
from torch.distributions import (
    AffineTransform,
    Categorical,
    MixtureSameFamily,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
)

from mango_mm.flows import TokenPartition
from mango_mm.flows.baselines import ChannelLinear, MapAttention, MixtureCoupling
from mango_mm.flows.baselines.flow_plus_plus import _logit_of_mixture


def test_the_mixture_is_torchs_mixture_of_logistics():
    weights = torch.randn(1, 1, 1, 3, dtype=torch.float64).log_softmax(-1)
    means, widths = (torch.randn(1, 1, 1, 3, dtype=torch.float64) for _ in 'ab')
    x = torch.linspace(-3, 3, 9, dtype=torch.float64).view(1, 9, 1)
    got, log_slope = _logit_of_mixture(x, weights, means, widths)
    logistic = TransformedDistribution(
        Uniform(torch.zeros(3).double(), torch.ones(3).double()),
        [SigmoidTransform().inv, AffineTransform(means[0, 0, 0], widths[0, 0, 0].exp())],
    )
    mixture = MixtureSameFamily(Categorical(logits=weights[0, 0, 0]), logistic)
    cdf = mixture.cdf(x.flatten()).view_as(x)
    torch.testing.assert_close(got, cdf.logit())
    wanted = mixture.log_prob(x.flatten()).view_as(x) - cdf.log() - (1 - cdf).log()
    torch.testing.assert_close(log_slope, wanted)


@pytest.mark.parametrize('scale', [1.0, 30.0, 1000.0])
def test_the_mixture_inverts_far_out_in_the_tails_in_float32(scale):
    layer = MixtureCoupling(4)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.5 * torch.randn_like(p))
    x = scale * torch.randn(3, 5, 4)
    y, log_det = layer(x)
    back, _ = layer.inverse(y)
    assert log_det.isfinite().all()
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-4 * scale)


def test_the_components_of_a_mixture_part_and_it_learns_what_no_affine_coupling_can():
    torch.manual_seed(0)
    layer = MixtureCoupling(2, components=2, hidden_dim=16)
    x = torch.randn(4, 9, 2)
    assert (layer(x)[0] - x).abs().max() <= math.log(math.cosh(0.5))
    assert layer(x)[1].abs().max() < 9 * 0.07

    def two_peaks(count):  # of the second channel, whatever the first
        sign = torch.randint(0, 2, (count, 1)) * 2.0 - 1
        return torch.stack([torch.randn(count, 1), 3 * sign + 0.3 * torch.randn(count, 1)], -1)

    optimizer = torch.optim.Adam(layer.parameters(), 2e-2)
    for _ in range(400):
        z, log_det = layer(two_peaks(128))
        loss = (0.5 * z.square().sum((1, 2)) - log_det).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x = two_peaks(4096)
        z, log_det = layer(x)
        found = (0.5 * z.square().sum((1, 2)) - log_det).mean()
        _, _, (_, means, _) = layer._condition(x[..., :1], None)
    assert (means[..., 0] - means[..., 1]).abs().min() > 1  # equal for ever if they start equal
    # Nats, less ln 2 pi: .5 of the first channel; of the second ln(.3) + .5 of a peak and ln 2 for
    # which. One Gaussian of the same variance, the best of an affine coupling, has ln(3.01) + .5.
    exact = 0.5 + math.log(0.3) + 0.5 + math.log(2)
    affine = 0.5 + math.log(3.015) + 0.5
    assert exact - 0.1 < found < exact + 0.25 < affine - 0.5


def test_gradients_of_the_mixtures_inverse():
    torch.manual_seed(0)
    layer = MixtureCoupling(4).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.5 * torch.randn_like(p))
    y = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: layer.inverse(y)[0], (y,), rtol=1e-5, atol=1e-7)


def test_channels_are_multiplied_by_one_matrix():
    layer = ChannelLinear(5).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_()
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    matrix = layer(torch.eye(5, dtype=torch.float64)[None])[0][0]
    y, log_det = layer(x)
    torch.testing.assert_close(y, x @ matrix)
    torch.testing.assert_close(log_det[0], 3 * torch.linalg.slogdet(matrix).logabsdet)


def test_a_map_scales_all_channels_of_a_token_alike_and_bounded():
    layer = MapAttention(4, TokenPartition.mmca((3, 4), target=1), clamp=0.5)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.5 * torch.randn_like(p))
    x = torch.randn(2, 7, 4)
    ratio = layer(x)[0] / x
    torch.testing.assert_close(ratio[:, :3], torch.ones(2, 3, 4))
    torch.testing.assert_close(ratio[..., :1].expand_as(ratio), ratio, rtol=1e-4, atol=1e-5)
    assert ratio.log().abs().max() <= 0.5 + 1e-5
    assert ratio[:, 3:].std() > 1e-3


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match='at least 2 of them; got 1'):
        MixtureCoupling(1)
    with pytest.raises(ValueError, match='num_heads must divide'):
        MixtureCoupling(4, num_heads=3)
    with pytest.raises(ValueError, match='num_heads must divide dim'):
        MapAttention(4, TokenPartition.halves(4), num_heads=3)
