"""DEQ-Fusion: the fixed point, its gradient by the implicit function theorem, its penalty."""

import pytest
import torch
from torch_features import needs_fp16_on_cpu

from mango_mm.fusion import DEQFusion
from mango_mm.fusion.fixed_point import AndersonSolver, fixed_point, jacobian_penalty

EXACT = AndersonSolver(tolerance=1e-13, max_iter=200, ridge=1e-12)


def contraction(seed=0, size=5):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return 0.6 * weight / torch.linalg.matrix_norm(weight, 2)


def test_a_linear_fixed_point_is_that_of_the_linear_solve():
    weight = contraction()
    b = torch.randn(3, 5, dtype=torch.float64)
    z, residual = fixed_point(lambda z: z @ weight.T + b, torch.zeros_like(b), EXACT)
    wanted = torch.linalg.solve(torch.eye(5, dtype=torch.float64) - weight, b.T).T
    torch.testing.assert_close(z, wanted, rtol=1e-10, atol=1e-10)
    assert (residual < 1e-12).all()


def test_gradients_are_those_of_the_implicit_function_theorem():
    weight = contraction().requires_grad_()
    b = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)

    def solve(weight, b):
        z, _ = fixed_point(lambda z: torch.tanh(z @ weight.T) + b, torch.zeros_like(b), EXACT)
        return z

    assert torch.autograd.gradcheck(solve, (weight, b), rtol=1e-6, atol=1e-8)


def test_anderson_needs_fewer_evaluations_than_plain_iteration():
    weight = contraction() / 0.6 * 0.98
    b = torch.randn(2, 5, dtype=torch.float64)
    calls = []

    def f(z):
        calls.append(0)
        return z @ weight.T + b

    AndersonSolver(tolerance=1e-8, max_iter=500, ridge=1e-10)(f, torch.zeros_like(b))
    z, plain = torch.zeros_like(b), 0
    while (f(z) - z).norm() > 1e-8 * z.norm() + 1e-30:
        z, plain = f(z), plain + 1
    assert len(calls) - plain * 2 < plain / 4


def test_a_sample_does_not_depend_on_its_batch():
    weight = contraction()
    b = torch.randn(4, 5, dtype=torch.float64) * torch.tensor([[1e-3], [1.0], [10.0], [0.1]])
    loose = AndersonSolver(tolerance=1e-2)

    def solve(rows):
        return loose(lambda z: torch.tanh(z @ weight.T) + rows, torch.zeros_like(rows))[0]

    together = solve(b)
    for i in range(4):
        torch.testing.assert_close(together[i : i + 1], solve(b[i : i + 1]), rtol=1e-12, atol=0)


def test_what_does_not_converge_returns_its_best_and_says_so():
    z, residual = AndersonSolver(max_iter=3)(lambda z: 3 * z + 1, torch.ones(2, 4))
    assert z.isfinite().all()
    assert residual.shape == (2,)
    wild, residual = AndersonSolver(max_iter=5)(lambda z: torch.sin(50 * z) + 2, torch.ones(2, 4))
    assert wild.isfinite().all()
    assert (residual > 1e-4).any()


def test_the_jacobian_penalty_is_the_mean_square_of_the_jacobian():
    torch.manual_seed(0)
    weight = torch.randn(6, 6, dtype=torch.float64)
    z = torch.randn(1, 6, dtype=torch.float64)
    got = jacobian_penalty(lambda z: torch.tanh(z @ weight.T), z, probes=20_000)
    jacobian = torch.autograd.functional.jacobian(lambda z: torch.tanh(z @ weight.T), z)
    torch.testing.assert_close(got, jacobian.square().sum() / 6, rtol=0.03, atol=0)


def test_the_model_is_at_its_fixed_point_and_the_step_is_the_papers():
    torch.manual_seed(0)
    model = DEQFusion(('a', 'b'), 32, tolerance=1e-9, max_iter=300).double()
    with torch.no_grad():  # scaled down until it contracts
        for p in model.parameters():
            if p.ndim == 2:
                p.mul_(0.5)
    x = {m: torch.randn(2, 3, 32, dtype=torch.float64) for m in 'ab'}
    output = model(x)
    assert (output.extras['residual'] < 1e-9).all()
    z = output.latents
    gn = torch.nn.functional.group_norm

    def norm(layer, t):
        return gn(t.reshape(-1, 32), 4, layer.weight, layer.bias).view_as(t)

    relu = torch.relu
    for m, r in zip('ab', model.refine):
        inner = norm(r.norms[1], r.second(relu(norm(r.norms[0], r.first(z[m])))) + x[m])
        torch.testing.assert_close(norm(r.norms[2], relu(inner + z[m])), z[m], rtol=0, atol=1e-7)
    # The fused state is what the output layer saw: solve its linear layer backwards.
    solved = torch.linalg.lstsq(
        model.project.weight, (output.fused - model.project.bias).reshape(-1, 32).T
    ).solution.T.view(2, 3, 32)
    gated = sum(model.gate(z[m] + solved) * solved for m in 'ab')
    again = norm(model.norm, relu(model.mix(gated) + x['a'] + x['b']))
    torch.testing.assert_close(again, solved, rtol=0, atol=1e-6)


def test_gradients_of_the_model_match_finite_differences():
    torch.manual_seed(1)
    model = DEQFusion(('a', 'b'), 32, tolerance=1e-11, max_iter=400, jacobian_weight=0.0).double()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p.mul_(0.3)
    a, b = (torch.randn(1, 1, 32, dtype=torch.float64, requires_grad=True) for _ in 'ab')
    assert (model({'a': a, 'b': b}).extras['residual'] < 1e-10).all()
    assert torch.autograd.gradcheck(
        lambda a, b: model({'a': a, 'b': b}).fused, (a, b), rtol=1e-4, atol=1e-6
    )


def test_the_penalty_is_a_loss_in_training_only():
    model = DEQFusion(('a', 'b'), 8)
    x = {m: torch.randn(2, 3, 8) for m in 'ab'}
    assert model(x).losses['jacobian'] > 0
    assert not model.eval()(x).losses
    with pytest.raises(ValueError, match='needs two modalities'):
        DEQFusion(('a',), 8)


@pytest.mark.parametrize(
    'dtype', [torch.bfloat16, pytest.param(torch.float16, marks=needs_fp16_on_cpu)]
)
def test_it_is_solved_in_float32_under_autocast(dtype):
    torch.manual_seed(0)
    fusion = DEQFusion(('a', 'b'), 8)
    features = {m: torch.randn(3, 5, 8, requires_grad=True) for m in 'ab'}
    wanted = fusion(features).fused
    slopes = torch.autograd.grad(wanted.square().sum(), list(features.values()))
    with torch.autocast('cpu', dtype=dtype):
        got = fusion(features).fused
    got_slopes = torch.autograd.grad(got.square().sum(), list(features.values()))
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(got_slopes, slopes)


def test_a_second_derivative_is_an_error_not_a_wrong_number():
    fusion = DEQFusion(('a', 'b'), 8).double().eval()
    x = torch.randn(2, 3, 8, dtype=torch.double, requires_grad=True)
    out = fusion({'a': x, 'b': torch.randn(2, 3, 8, dtype=torch.double)}).fused
    with pytest.raises(RuntimeError, match='can be differentiated once.*create_graph=True'):
        torch.autograd.grad(out.sin().sum(), x, create_graph=True)
