"""LICA and the mixing inside it: formed or by factors, kept or not, always the same."""

import pytest
import torch

from mango_mm.flows import (
    InvertibleCrossAttention,
    LearnableCrossAttention,
    Sandwich,
    TokenLinear,
    TokenPartition,
    token_linear,
)
from mango_mm.flows.lu_products import apply_matrix, form, forming_pays
from mango_mm.flows.token_runs import permute

N, D = 7, 4


@pytest.fixture(params=['identity', 'flip', 'random'])
def lica(request):
    torch.manual_seed(0)
    layer = LearnableCrossAttention(D, N, permutation=request.param).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def results(layer, x):
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y, log_det = layer(x)
    back, _ = layer.inverse(y)
    (y.sin().sum() - log_det.cos().sum() + (back * y).sum()).backward()
    return [y, log_det, back, x.grad, *(p.grad.clone() for p in layer.parameters())]


def test_the_matrix_and_its_factors_give_the_same(lica, monkeypatch):
    x = torch.randn(3, N, D, dtype=torch.double)
    ways = []
    for pays in (True, False):
        monkeypatch.setattr(token_linear, 'forming_pays', lambda *_, pays=pays: pays)
        ways.append(results(lica, x))
    for formed, factored in zip(*ways):
        torch.testing.assert_close(formed, factored)
    torch.testing.assert_close(ways[0][2], x)


def test_it_is_ica_inside_a_mixing(lica):
    """The shortcut y = x + W^-1 (x' - W x) against the definition, Eq. 11-12."""
    plain = Sandwich(lica.mixing, lica.attention)
    x = torch.randn(3, N, D, dtype=torch.double)
    for wanted, got in zip(results(plain, x), results(lica, x)):
        torch.testing.assert_close(got, wanted)


def test_forming_is_for_large_batches():
    assert forming_pays(512, 8, 256)
    assert not forming_pays(4096, 1, 256)


def test_the_pieces_pass_gradcheck():
    lower = torch.randn(5, 5, dtype=torch.double).tril(-1) + torch.eye(5)
    upper = 0.3 * torch.randn(5, 5, dtype=torch.double).triu(1) + torch.eye(5)
    wanted = torch.eye(5, dtype=torch.double)[:, [3, 0]]

    def formed(lower, upper):  # triangular, as its callers make them
        return form(lower.tril(-1) + torch.eye(5), upper.triu(), wanted)

    factors = lower.requires_grad_(), upper.requires_grad_()
    assert torch.autograd.gradcheck(formed, factors)
    whole, columns = formed(*factors)
    torch.testing.assert_close(whole @ columns, wanted)
    x = torch.randn(2, 5, 3, dtype=torch.double, requires_grad=True)
    matrix = torch.randn(2, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(apply_matrix, (matrix, x))
    order = torch.tensor([2, 0, 4, 1, 3])
    assert torch.autograd.gradcheck(lambda x: permute(x, order, order.argsort()), (x,))
    assert torch.equal(permute(x, order, order.argsort()), x[:, order])


def fresh(layer, x):
    """What a copy without anything kept gives."""
    with torch.enable_grad():
        return [t.detach() for t in layer(x)]


def test_what_is_kept_at_inference_is_never_stale(lica):
    x = torch.randn(1, N, D, dtype=torch.double)
    other = {k: v + 0.1 if v.is_floating_point() else v for k, v in lica.state_dict().items()}
    lica.eval()

    def agrees():
        with torch.no_grad():
            for got, wanted in zip(lica(x), fresh(lica, x)):
                torch.testing.assert_close(got, wanted)
            torch.testing.assert_close(lica.inverse(lica(x)[0])[0], x)

    agrees()
    kept = lica.mixing._kept
    agrees()
    assert lica.mixing._kept is kept  # used again, not formed again
    with torch.no_grad():  # an optimiser's step
        lica.mixing.lower.add_(0.2)
    agrees()
    lica.load_state_dict(other)
    agrees()
    lica.mixing.upper.data.mul_(2)  # as mmengine's EMAHook does; then the loop calls eval()
    lica.eval()
    agrees()
    x = x.float()
    lica.float()
    with torch.no_grad():
        torch.testing.assert_close(lica.inverse(lica(x)[0])[0], x, rtol=0, atol=1e-5)


def test_token_linear_keeps_its_matrices_too():
    layer = TokenLinear(N, permutation='random').double().eval()
    with torch.no_grad():
        layer.lower.normal_()
        layer.upper.normal_()
    x = torch.randn(1, N, D, dtype=torch.double)
    wanted, log_det = fresh(layer, x)
    with torch.no_grad():
        y, its_log_det = layer(x)
        back, _ = layer.inverse(y)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(its_log_det, log_det)
    torch.testing.assert_close(back, x)


def test_the_wrong_number_of_tokens_is_named():
    with pytest.raises(ValueError, match='TokenLinear mixes 7 tokens; got 8'):
        LearnableCrossAttention(D, N)(torch.randn(1, 8, D))
    with pytest.raises(ValueError, match='kernel must be one of'):
        LearnableCrossAttention(D, N, kernel='x')
    assert isinstance(LearnableCrossAttention(D, N).attention, InvertibleCrossAttention)
    assert TokenPartition.halves(N).fixed.tolist() == [0, 1, 2, 3]
