"""The log-determinant and the density token by token."""

import pytest
import torch
from test_bijection_contract import ZOO, B, D, N

from mango_mm.flows import (
    AffineCoupling,
    Chain,
    FlowDensity,
    InvertibleCrossAttention,
    TokenLinear,
    TokenPartition,
)
from mango_mm.flows.contributions import log_det_terms, log_prob_terms, mixes_positions

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
    terms = log_det_terms(layer, x, mask)
    torch.testing.assert_close(terms.sum(1), layer(x, mask=mask)[1], rtol=0, atol=1e-10)
    assert terms.shape == (B, N)
    if mask is not None:
        assert not terms[~mask].any()
    terms, z = log_prob_terms(layer, x, mask)
    torch.testing.assert_close(z, layer(x, mask=mask)[0])
    wanted = FlowDensity(layer).log_prob(x, mask=mask)
    torch.testing.assert_close(terms.sum(1), wanted, rtol=0, atol=1e-10)


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
        torch.testing.assert_close(log_det_terms(module, x)[0], wanted, rtol=0, atol=1e-10)
        assert log_det_terms(module, x)[0].abs().max() > 1e-3


def test_mixing_of_positions_is_known_and_unknown_layers_are_named():
    assert mixes_positions(Chain(AffineCoupling(4), TokenLinear(3)))
    assert not mixes_positions(Chain(AffineCoupling(4)))
    with pytest.raises(TypeError, match='log_det_terms knows no Linear'):
        log_det_terms(torch.nn.Linear(2, 2), torch.zeros(1, 1, 2))
