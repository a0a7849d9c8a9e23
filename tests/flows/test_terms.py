"""The log-determinant and the density token by token."""

import math

import pytest
import torch
from test_bijection_contract import ZOO, B, D, N

from mango_mm.flows import (
    AffineCoupling,
    Bijection,
    Chain,
    FlowDensity,
    InvertibleCrossAttention,
    TokenLinear,
    TokenPartition,
    mixes_positions,
)
from mango_mm.testing import assert_is_bijection

MASK = torch.tensor([[1, 1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 1, 1, 1]]).bool()


@pytest.fixture(params=ZOO.values(), ids=ZOO.keys())
def layer(request):
    torch.manual_seed(0)
    built = request.param().double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return built


@pytest.mark.parametrize('mask', [None, MASK], ids=['all real', 'padding'])
def test_the_terms_add_up_to_the_log_determinant_and_the_density(layer, mask):
    x = torch.randn(B, N, D, dtype=torch.float64)
    y, terms = layer(x, mask=mask, terms=True)
    torch.testing.assert_close(terms.sum(1), layer(x, mask=mask)[1], rtol=0, atol=1e-10)
    assert terms.shape == (B, N)
    again, back = layer.inverse(y, mask=mask, terms=True)
    torch.testing.assert_close(back, -terms, rtol=0, atol=1e-9)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-9)
    density = FlowDensity(layer)
    of_tokens = density.log_prob_terms(x, mask=mask)
    wanted = density.log_prob(x, mask=mask)
    torch.testing.assert_close(of_tokens.sum(1), wanted, rtol=0, atol=1e-10)
    if mask is not None:
        assert not terms[~mask].any()
        assert not of_tokens[~mask].any()


def test_a_tokens_term_is_its_own_diagonal_block_of_the_jacobian():
    """For triangular maps without mixing: ln|det dy_i/dx_i|, from autograd."""
    torch.manual_seed(1)
    layer = InvertibleCrossAttention(D, TokenPartition(fixed=(0, 2, 4), moved=(1, 5, 3)))
    coupling = AffineCoupling(D)
    for module in (layer, coupling):
        module.double()
        with torch.no_grad():
            for p in module.parameters():
                p.add_(0.3 * torch.randn_like(p))
        x = torch.randn(1, 6, D, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(lambda t, m=module: m(t)[0], x)[0, :, :, 0]
        wanted = torch.stack([jacobian[i, :, i].slogdet()[1] for i in range(6)])
        terms = module(x, terms=True)[1][0]
        torch.testing.assert_close(terms, wanted, rtol=0, atol=1e-10)
        assert terms.abs().max() > 1e-3


def test_mixing_of_positions_is_known():
    assert mixes_positions(Chain(AffineCoupling(4), TokenLinear(3)))
    assert not mixes_positions(Chain(AffineCoupling(4)))


class Doubling(Bijection):
    """A bijection of a user's own: nothing is registered anywhere."""

    def transform(self, x, mask):
        terms = x.new_full(x.shape[:2], x.shape[2] * math.log(2))
        y, terms = 2 * x, terms if mask is None else terms * mask
        return y if mask is None else torch.where(mask[..., None], y, x), terms

    def inverse_transform(self, y, mask):
        x, terms = y / 2, y.new_full(y.shape[:2], -y.shape[2] * math.log(2))
        return x if mask is None else torch.where(mask[..., None], x, y), (
            terms if mask is None else terms * mask
        )


@pytest.mark.parametrize('mask', [None, MASK], ids=['all real', 'padding'])
def test_a_bijection_of_ones_own_has_terms_checks_and_precision(mask):
    x = torch.randn(B, N, D, dtype=torch.float64)
    assert_is_bijection(Doubling(), x, mask=mask)
    terms = FlowDensity(Chain(Doubling(), AffineCoupling(D).double())).log_prob_terms(x, mask=mask)
    assert terms.shape == (B, N)
    with pytest.raises(ValueError, match=r'Doubling maps tokens'):
        Doubling()(x[0])
    assert Doubling()(x.bfloat16())[0].dtype == torch.float32
