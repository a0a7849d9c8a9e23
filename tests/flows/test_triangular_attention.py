"""The kernels under ICA: every one is the definition, in value, gradient and memory."""

import itertools
import logging
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_features import needs_flash_on_cpu

from mango_mm.benchmarking.measuring import peak_bytes  # counted, not timed
from mango_mm.flows import Chain, InvertibleCrossAttention, TokenPartition
from mango_mm.flows.triangular_attention import KERNELS, mix, solve
from mango_mm.flows.triangular_attention import flash as flash_kernels
from mango_mm.flows.triangular_attention.chunked import mix_chunked
from mango_mm.flows.triangular_attention.fused import fold_into_delta, mix_fused
from mango_mm.flows.triangular_attention.probe import forget, is_trusted, measure_error
from mango_mm.flows.triangular_attention.reference import mix_dense, solve_dense
from mango_mm.flows.triangular_attention.select import DENSE_UP_TO, choose, choose_inverse
from mango_mm.flows.triangular_attention.substitution import solve_blocks
from mango_mm.flows.triangular_attention.sweep import error_bound, num_sweeps, solve_sweeps

FLASH = flash_kernels.KERNELS['cpu', torch.double]


def example(n, heads=2, d=3, dtype=torch.double, batch=2):
    q, k, x = (torch.randn(batch, heads, n, d, dtype=dtype) for _ in range(3))
    gate = torch.linspace(0.8, -0.5, heads, dtype=dtype)
    return q, k, x, gate


def some_mask(n):
    mask = torch.rand(2, n) > 0.3
    mask[0] = True
    return mask


def real(tensors, mask):
    """Outputs (B, H, n, ...) with the rows of padded tokens blanked."""
    if mask is None:
        return tensors
    y, log_diagonal = tensors
    return (
        torch.where(mask[:, None, :, None], y, 0.0),
        torch.where(mask[:, None, :], log_diagonal, 0.0),
    )


def test_a_case_worked_by_hand():
    # Two tokens, q = k = 0: row 0 sees itself, row 1 both alike. P = [[1, 0], [.5, .5]].
    zero = torch.zeros(1, 1, 2, 1)
    x = torch.tensor([2.0, 4.0]).view(1, 1, 2, 1)
    for kernel in KERNELS:
        y, log_diagonal = mix(zero, zero, x, torch.tensor([0.5]), kernel=kernel)
        assert y.flatten().tolist() == [3.0, 5.5]
        assert log_diagonal.flatten().tolist() == pytest.approx([0.0, math.log(0.5)])


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('n', [1, 7, 19])
@pytest.mark.parametrize(
    'function',
    [
        mix_dense,
        pytest.param(mix_fused, marks=needs_flash_on_cpu),
        lambda *a: mix_chunked(*a, block=4),
        solve_dense,
        lambda *a: solve_blocks(*a, block=4),
    ],
    ids=['mix dense', 'mix fused', 'mix chunked', 'solve dense', 'solve blocks'],
)
def test_every_function_passes_gradcheck(function, n, heads, masked):
    inputs = [t.requires_grad_() for t in example(n, heads)]
    mask = some_mask(n) if masked else None
    assert torch.autograd.gradcheck(
        lambda *leaves: real(function(*leaves, mask), mask), inputs, atol=1e-7
    )


@needs_flash_on_cpu
@given(n=st.integers(1, 40), block=st.integers(1, 17), masked=st.booleans())
def test_kernels_agree_with_the_dense_definition(n, block, masked):
    q, k, x, gate = example(n)
    mask = some_mask(n) if masked else None
    results = []
    for kernel in (mix_dense, mix_fused, lambda *a: mix_chunked(*a, block=block)):
        leaves = [t.clone().requires_grad_() for t in (q, k, x, gate)]
        y, log_diagonal = real(kernel(*leaves, mask), mask)
        (y.sin().sum() + log_diagonal.cos().sum()).backward()
        results.append([y, log_diagonal, *(t.grad for t in leaves)])
    dense, *others = results
    for other in others:
        for wanted, got in zip(dense, other):
            torch.testing.assert_close(got, wanted)
    y, log_diagonal = mix(q, k, x, gate, mask, kernel='dense')
    for kernel in KERNELS:
        again, its_log_diagonal = solve(q, k, y, gate, mask, kernel=kernel)
        torch.testing.assert_close(again, x)
        torch.testing.assert_close(its_log_diagonal, log_diagonal)


# Relative errors in the 2-norm, per unit of condition. The project's notes measured 7e-16
# and up to 3.3e-7 at g > 0.
GRID_TOLERANCE = {torch.float64: 2e-15, torch.float32: 5e-7}


@pytest.mark.parametrize('g', [0.9, 0.1, -0.9])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize(('kernel', 'dtype'), itertools.product(KERNELS, GRID_TOLERANCE), ids=str)
def test_every_kernel_and_dtype_is_close_to_float64_dense(kernel, dtype, masked, g):
    n, d = 300, 64  # above the block of the chunked kernel
    # The same rounded inputs for all.
    q, k, x = (torch.randn(2, 2, n, d).to(dtype).double() for _ in range(3))
    q = (q / d**0.5).to(dtype).double()
    dy, gate = torch.randn(2, 2, n, d).double(), torch.tensor([g, g / 2]).to(dtype).double()
    mask = some_mask(n) if masked else None

    def run(kernel, dtype):
        leaves = [t.to(dtype).detach().requires_grad_() for t in (q, k, x, gate)]
        y, log_diagonal = mix(*leaves, mask, kernel=kernel)
        g = leaves[3][:, None]
        log_det = d * torch.log1p(g * log_diagonal.exp()).sum((1, 2))
        ((y.double() * dy).sum() - log_det.double().sum()).backward()
        back, _ = solve(*(t.detach() for t in (*leaves[:2], y, leaves[3])), mask, kernel=kernel)
        return [y, log_det, back, *(t.grad for t in leaves)]

    names = ['y', 'log_det', 'solve(y)', 'dq', 'dk', 'dx', 'dg']
    for name, got, wanted in zip(names, run(kernel, dtype), run('dense', torch.float64)):
        error = float((got.detach().double() - wanted.detach()).norm() / wanted.detach().norm())
        assert error < GRID_TOLERANCE[dtype] * (10 if g < 0 else 1), (name, error)


@pytest.mark.parametrize('scale', [1.0, 1e-18, 1e-30, 0.0])
def test_the_gradient_of_the_log_diagonal_survives_any_gradient_of_y(scale):
    """Rows of dy that are zero or tiny against it are where folding could break."""
    q, k, x, gate = example(50, dtype=torch.float32)
    dy, c = scale * torch.randn_like(x), torch.randn(2, 2, 50)
    dy[..., 0] *= torch.rand(2, 2, 50).round()
    gradients = []
    for kernel, dtype in (('fused', torch.float32), ('dense', torch.float64)):
        leaves = [t.to(dtype).requires_grad_() for t in (q, k, x)]
        outputs = mix(*leaves, gate.to(dtype), kernel=kernel)
        gradients.append(torch.autograd.grad(outputs, leaves, [dy.to(dtype), c.to(dtype)]))
    for name, got, wanted in zip('qkx', *gradients):
        error = float((got.double() - wanted).norm())
        assert error < 1e-6 * float(wanted.norm()) + 1e-28, (name, error)


def test_nothing_folded_in_changes_nothing():
    do, o = torch.randn(2, 1, 5, 4), torch.randn(2, 1, 5, 4)
    do[0, 0, 0] = 0.0
    same_do, same_o = fold_into_delta(do.clone(), o, torch.zeros(2, 1, 5))
    assert torch.equal(same_do, do)
    assert torch.equal(same_o, o)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('g', [0.9, -0.9, 1.0])
@pytest.mark.parametrize('attention', ['huge logits', 'one-hot', 'shift'])
def test_extreme_attention_stays_finite_in_float32(kernel, g, attention):
    n, d = 200, 8
    q, k, x, _ = example(n, heads=1, d=d, dtype=torch.float32)
    if attention == 'huge logits':  # s = +-1000
        q, k = (1000 / d) * q.sign(), k.sign()
    elif attention == 'one-hot':  # every token looks at the first one alone
        q, k = torch.zeros_like(q), torch.zeros_like(k)
        q[..., 0], k[..., 0, 0] = 1000.0, 1.0
    else:  # every token looks at the one before it
        angle = torch.arange(n)[:, None] * torch.tensor([0.0161])
        turned = torch.cat([angle.cos(), angle.sin()], -1).expand(2, 1, n, 2)
        k = torch.nn.functional.pad(turned, (0, d - 2))
        q = 1e5 * k.roll(1, 2)
    q, k, x = (t.clone().requires_grad_() for t in (q, k, x))
    gate = torch.tensor([g])
    y, log_diagonal = mix(q, k, x, gate, kernel=kernel)
    log_det = torch.log1p(g * log_diagonal.exp()).sum()
    (y.sum() - log_det).backward()
    with torch.no_grad():
        again, its_log_diagonal = solve(q, k, y, gate, kernel=kernel)
    for tensor in (y, log_diagonal, log_det, q.grad, k.grad, x.grad, again):
        assert tensor.isfinite().all()
    if attention == 'huge logits':
        assert log_diagonal.min() < -104  # where softmax underflows in float32
    # Errors of one layer grow with the condition of A, at most 19 (2 n for g = 1).
    torch.testing.assert_close(again, x.detach(), rtol=0, atol=5e-3 if g == 1 else 1e-4)
    torch.testing.assert_close(its_log_diagonal, log_diagonal.detach(), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('weight', [1, 1e2, 1e3, 1e4])
def test_the_log_determinant_of_sharp_attention_is_as_good_as_the_dense_one(kernel, weight):
    """The kernel's log-sum-exp and an own score rounded in another order differ by 1e-7 of it."""
    torch.manual_seed(0)
    layer = InvertibleCrossAttention(64, TokenPartition.halves(600), gate_init=0.5, kernel=kernel)
    x = torch.randn(2, 600, 64)
    with torch.no_grad():
        for norm in (layer.query[1], layer.key[1]):
            norm.weight.mul_(weight)
        y, log_det = layer(x)
        again, back = layer.inverse(y)
        layer.kernel = 'dense'
        wanted = layer(x)[1].double()
        double = layer.double()(x.double())[1]
    for got in (log_det, -back):
        assert ((got.double() - wanted).abs() / wanted.abs()).max() < 1e-4
    assert ((wanted - double).abs() / double.abs()).max() < 1e-4  # so the dense one is right, too
    torch.testing.assert_close(again, x, rtol=0, atol=1e-4)


@needs_flash_on_cpu
def test_a_compiled_flow_says_that_attention_is_too_sharp_for_it():
    torch._dynamo.reset()
    layer = InvertibleCrossAttention(8, TokenPartition.halves(12), kernel='fused')
    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    x = torch.randn(1, 12, 8)
    compiled(x)
    with torch.no_grad():
        layer.query[1].weight.mul_(1e4)
    with pytest.raises(RuntimeError, match="too sharp.*take kernel='chunked'"):
        compiled(x)


@pytest.mark.parametrize('gate', [0.9, -0.9])
@pytest.mark.parametrize('attention', ['shift', 'one-hot', 'random', 'huge logits'])
def test_the_condition_number_is_within_its_bound(gate, attention):
    n = 24
    q, k, x, _ = example(n, heads=1, d=n)
    if attention == 'shift':  # every token looks at the one before: the worst case for g = 1
        q, k = 40 * torch.eye(n).roll(-1, 1).expand_as(q), torch.eye(n).expand_as(k)
    elif attention == 'one-hot':
        q, k = torch.zeros_like(q), torch.zeros_like(k)
        q[..., 0], k[..., 0, 0] = 100, 1
    elif attention == 'huge logits':
        q, k = 1000 * q.sign(), k.sign()
    q, k = q.double(), k.double()
    g = torch.tensor([gate], dtype=torch.double)
    eye = torch.eye(n, dtype=torch.double).expand(2, 1, n, n)
    a, log_diagonal = mix_dense(q, k, eye, g)
    inverse, _ = solve_blocks(q, k, eye, g, block=7)
    norms = [m[0, 0].abs().sum(1).max() for m in (a, inverse)]
    p = log_diagonal[0].exp().min()
    assert norms[0] <= 1 + abs(gate) + 1e-9
    if gate > 0:  # the sharper bound of flows.md, section 2, needs g > 0
        assert norms[1] <= min(n, 1 / (1 - gate * (1 - 2 * p))) + 1e-9
    assert norms[1] <= 1 / (1 - abs(gate)) + 1e-9
    torch.testing.assert_close(a @ inverse, eye, rtol=0, atol=1e-9)


@needs_flash_on_cpu
@pytest.mark.parametrize('g', [1 / 48, -0.25, 0.9])
@pytest.mark.parametrize('masked', [False, True])
def test_sweeps_stay_below_their_bound_and_reach_rounding(g, masked):
    n = 40
    q, k, x, _ = example(n, heads=1)
    gate, mask = torch.tensor([g], dtype=torch.double), some_mask(n) if masked else None
    y, wanted = mix(q, k, x, gate, mask)

    def error(sweeps):
        got, log_diagonal = solve_sweeps(q, k, y, gate, mask, kernel=FLASH, sweeps=sweeps)
        torch.testing.assert_close(*(real((x, t), mask)[1] for t in (log_diagonal, wanted)))
        return float((real((got, wanted), mask)[0] - real((x, wanted), mask)[0]).abs().max())

    errors = [error(sweeps) for sweeps in range(4)]
    for sweeps, measured in enumerate(errors):
        assert 0 < measured <= error_bound(g, sweeps) * float(y.abs().max()) + 1e-15
    sweeps = num_sweeps(g, torch.double)
    assert error_bound(g, sweeps) <= 2.3e-16 < error_bound(g, sweeps - 1)
    assert error(sweeps) < 1e-14
    assert num_sweeps(1.0, torch.double) is None
    assert num_sweeps(0.0, torch.double) == 0


# ---- which kernel runs ----


@needs_flash_on_cpu
def test_the_kernel_is_chosen_by_size_device_and_dtype_and_can_be_forced(monkeypatch):
    q, _, x, _ = example(DENSE_UP_TO + 1)
    assert choose(q, x) == 'fused'
    assert choose(q, x[..., :2]) == 'chunked'  # flash wants as many channels of x as of q
    assert choose(q[..., 1:, :], x[..., 1:, :2]) == 'dense'
    assert choose(q[..., :9, :], x[..., :9, :]) == 'fused'
    assert choose(q[..., :3, :], x[..., :3, :]) == 'dense'  # rows of P as short as those of x
    assert choose(q[..., :3, :], x[..., :3, :], kernel='fused') == 'fused'
    assert choose(q, x, kernel='dense') == 'dense'
    assert choose(q, x, kernel='chunked') == 'chunked'
    assert choose(q[..., :0, :], x) == 'dense'
    assert choose(q.to('meta'), x, kernel='fused') == 'chunked'
    assert choose_inverse(q, x) == 'substitution'
    assert choose_inverse(q[..., :64, :], x) == 'dense'
    with pytest.raises(ValueError, match="kernel must be one of .*got 'warp'"):
        choose(q, x, kernel='warp')
    with pytest.raises(TypeError, match='float32 or float64.*got torch.bfloat16 queries'):
        choose(q.bfloat16(), x.bfloat16())


class _OffByLn2(type(FLASH)):
    """The known upstream bug."""

    def forward(self, *args, **kwargs):
        o, lse, rest = super().forward(*args, **kwargs)
        return o, lse + math.log(2), rest


class _ForgetsItsRows(type(FLASH)):
    """Right output, wrong gradient of the keys."""

    def backward(self, *args, **kwargs):
        dq, dk, dx = super().backward(*args, **kwargs)
        return dq, dk.roll(1, 2), dx


class _Missing(type(FLASH)):
    def forward(self, *args, **kwargs):
        raise AttributeError("'_OpNamespace' 'aten' object has no attribute 'flash'\nand more")


@pytest.fixture
def forgetful():
    forget()
    yield
    forget()


@needs_flash_on_cpu
@pytest.mark.parametrize(
    ('kernel', 'reason'),
    [
        (_OffByLn2(), 'off by'),
        (_ForgetsItsRows(), 'off by'),
        (_Missing(), "it failed (AttributeError: '_OpNamespace' 'aten' object"),
    ],
    ids=['ln 2', 'wrong gradient', 'missing'],
)
def test_a_wrong_kernel_is_found_out_and_chunked_runs(
    kernel, reason, monkeypatch, caplog, forgetful
):
    monkeypatch.setitem(flash_kernels.KERNELS, ('cpu', torch.double), kernel)
    q, k, x, gate = example(DENSE_UP_TO + 1)
    with caplog.at_level(logging.WARNING):
        y, log_diagonal = mix(q, k, x, gate, kernel='fused')
        for _ in range(2):
            assert choose(q, x) == 'chunked'
    wanted, wanted_log_diagonal = mix_dense(q, k, x, gate)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(log_diagonal, wanted_log_diagonal)
    assert len(caplog.records) == 1, caplog.text
    assert reason in caplog.text
    assert 'the chunked kernel runs instead' in caplog.text
    assert is_trusted('cpu', torch.float32)  # one verdict per dtype


@needs_flash_on_cpu
def test_the_probe_trusts_what_is_right_and_moves_nobodys_random_numbers(forgetful):
    torch.manual_seed(3)
    wanted = torch.randn(1)
    torch.manual_seed(3)
    with torch.inference_mode(), torch.autocast('cpu', dtype=torch.bfloat16):
        assert is_trusted('cpu', torch.float32)
        assert is_trusted('cpu', torch.float64)
        assert not is_trusted('cpu', torch.bfloat16)
    assert torch.equal(torch.randn(1), wanted)
    assert measure_error('cpu', torch.float64) < 1e-13


# ---- memory ----


@pytest.mark.parametrize('kernel', ['chunked', 'fused'])
@pytest.mark.parametrize('direction', ['mix', 'solve'])
def test_memory_grows_linearly(kernel, direction):
    def work(n):
        q, k, x, gate = (
            t.requires_grad_() for t in example(n, heads=1, d=16, dtype=torch.float32, batch=1)
        )

        def run():
            function = mix if direction == 'mix' else solve
            y, log_diagonal = function(q, k, x, gate, kernel=kernel)
            (y.sum() + log_diagonal.sum()).backward()

        return run

    sizes = [peak_bytes(work(n)) for n in (2048, 4096, 8192)]
    assert sizes[0] > 2048 * 16 * 4
    for small, large in zip(sizes, sizes[1:]):
        assert large / small <= 2.2, sizes


def test_dense_takes_many_times_the_memory_of_fused():
    q, k, x, gate = (t.requires_grad_() for t in example(2048, 1, 64, torch.float32, 1))

    def work(kernel):
        y, log_diagonal = mix(q, k, x, gate, kernel=kernel)
        (y.square().sum() - log_diagonal.sum()).backward()

    assert peak_bytes(lambda: work('dense')) > 7 * peak_bytes(lambda: work('fused'))


@needs_flash_on_cpu
def test_the_probe_may_be_needed_first_inside_gradient_checkpointing():
    partition = TokenPartition.halves(700)
    layer = InvertibleCrossAttention(8, partition, kernel='auto')
    x = torch.randn(1, 700, 8, requires_grad=True)
    wanted = torch.autograd.grad(layer(x)[0].square().sum(), x)[0]
    forget()
    chain = Chain(layer, with_cp=True)
    (got,) = torch.autograd.grad(chain(x)[0].square().sum(), x)
    torch.testing.assert_close(got, wanted)
    assert is_trusted('cpu', torch.float32)
