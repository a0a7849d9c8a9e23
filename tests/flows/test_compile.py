"""torch.compile without graph breaks and torch.export, of forward and inverse."""

import os
import shutil

import pytest
import torch
from torch_features import needs_export

from mango_mm import flows
from mango_mm.flows import TokenPartition
from mango_mm.flows.triangular_attention import KERNELS, mix, solve
from mango_mm.flows.triangular_attention.probe import forget
from mango_mm.fusion import MangoFusion

pytestmark = pytest.mark.slow

N, D = 11, 8


def ica(**options):
    return flows.InvertibleCrossAttention(
        D, TokenPartition.mmca((5, 6), target=1), num_heads=2, **options
    )


LAYERS = {
    **{f'ICA, {kernel}': lambda kernel=kernel: ica(kernel=kernel) for kernel in KERNELS},
    'LICA': lambda: flows.LearnableCrossAttention(D, N),
    'affine coupling': lambda: flows.AffineCoupling(D),
    'attention coupling': lambda: flows.AttentionCoupling(
        D, TokenPartition.mmca((5, 6), target=1), num_heads=2
    ),
    'two blocks of MANGO': lambda: MangoFusion(('a', 'b'), D, (5, 6), depth=2).flow,
}


@pytest.fixture(
    params=[
        pytest.param(make, id=name, marks=[pytest.mark.soak] if 'blocks' in name else [])
        for name, make in LAYERS.items()
    ]
)
def layer(request):
    torch.manual_seed(0)
    torch._dynamo.reset()
    return request.param()


def outputs_and_gradients(layer, x, mask=None):
    y, log_det = layer(x, mask=mask)
    owner = getattr(layer, '_orig_mod', layer)
    gradients = torch.autograd.grad(y.square().sum() - log_det.sum(), list(owner.parameters()))
    return [y, log_det, *gradients]


def test_compile_captures_everything_and_changes_nothing(layer):
    x = torch.randn(3, N, D)
    for direction in (layer, flows.Inverse(layer)):
        compiled = torch.compile(direction, fullgraph=True, backend='aot_eager')
        for got, wanted in zip(
            outputs_and_gradients(compiled, x), outputs_and_gradients(direction, x)
        ):
            torch.testing.assert_close(got, wanted)


@pytest.mark.skipif(
    os.environ.get('MANGO_RELIABILITY') != 'full' or shutil.which('g++') is None,
    reason='two minutes and a compiler; make soak runs it',
)
def test_inductor_changes_nothing():
    torch._dynamo.reset()
    flow = LAYERS['two blocks of MANGO']()
    x = torch.randn(3, N, D)
    for direction in (flow, flows.Inverse(flow)):
        compiled = torch.compile(direction, fullgraph=True)
        for got, wanted in zip(
            outputs_and_gradients(compiled, x), outputs_and_gradients(direction, x)
        ):
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@needs_export
def test_export_of_forward_and_inverse(layer):
    x = torch.randn(2, N, D)
    layer.eval()
    with torch.no_grad():
        for direction in (layer, flows.Inverse(layer)):
            exported = torch.export.export(direction, (x,)).module()
            for got, wanted in zip(exported(x), direction(x)):
                torch.testing.assert_close(got, wanted)


def test_compile_with_a_mask():
    torch._dynamo.reset()
    layer, x = ica(), torch.randn(3, N, D)
    mask = torch.rand(3, N) > 0.3
    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    for got, wanted in zip(
        outputs_and_gradients(compiled, x, mask), outputs_and_gradients(layer, x, mask)
    ):
        torch.testing.assert_close(got, wanted)


@needs_export
def test_the_probe_may_run_for_the_first_time_while_tracing():
    layer, x = ica(), torch.randn(3, N, D)
    wanted, _ = layer(x)
    for trace in (
        lambda: torch.compile(layer, fullgraph=True, backend='aot_eager'),
        lambda: torch.export.export(layer, (x,)).module(),
    ):
        torch._dynamo.reset()
        forget()
        torch.testing.assert_close(trace()(x)[0], wanted)
    forget()
    torch.testing.assert_close(layer(x)[0], wanted)


@pytest.mark.parametrize('function', [mix, solve])
def test_compile_over_several_blocks(function):
    torch._dynamo.reset()
    q, k, x = (torch.randn(1, 2, 300, 4, requires_grad=True) for _ in range(3))
    gate = torch.tensor([0.8, -0.5], requires_grad=True)

    def run(*leaves):
        return function(*leaves, kernel='chunked')

    results = []
    for way in (run, torch.compile(run, fullgraph=True, backend='aot_eager')):
        y, log_diagonal = way(q, k, x, gate)
        loss = y.sin().sum() + log_diagonal.cos().sum()
        results.append([y, log_diagonal, *torch.autograd.grad(loss, (q, k, x, gate))])
    for wanted, got in zip(*results):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
