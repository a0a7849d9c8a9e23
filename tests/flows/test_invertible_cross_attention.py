"""Peculiar facts of ICA: kernels, bounds, underflow, depth."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mango_mm.flows import Chain, InvertibleCrossAttention, TokenPartition
from mango_mm.flows.triangular_attention import attend, solve
from mango_mm.flows.triangular_attention.chunked import attend_chunked, solve_blocks
from mango_mm.flows.triangular_attention.reference import attend_dense
from mango_mm.flows.triangular_attention.select import DENSE_UP_TO, choose


def qkv(n, heads=2, d=3, dtype=torch.double):
    return [torch.randn(2, heads, n, d, dtype=dtype) for _ in range(3)]


def some_mask(n):
    mask = torch.rand(2, n) > 0.3
    mask[0] = True
    return mask


def test_a_case_worked_by_hand():
    # Two tokens, q = k = 0: row 0 sees both alike, row 1 only itself. P = [[.5, .5], [0, 1]].
    zero = torch.zeros(1, 1, 2, 1)
    v = torch.tensor([2.0, 4.0]).view(1, 1, 2, 1)
    o, log_diagonal = attend_dense(zero, zero, v)
    assert o.flatten().tolist() == [3.0, 4.0]
    assert log_diagonal.flatten().tolist() == pytest.approx([math.log(0.5), 0.0])


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('n', [1, 7, 19])
def test_chunked_gradients_pass_gradcheck(n, masked):
    inputs = [t.requires_grad_() for t in qkv(n)]
    mask = some_mask(n) if masked else None
    assert torch.autograd.gradcheck(
        lambda q, k, v: attend_chunked(q, k, v, mask, block=4), inputs, atol=1e-7
    )


@given(n=st.integers(1, 40), block=st.integers(1, 17), masked=st.booleans())
def test_kernels_agree_with_the_dense_definition(n, block, masked):
    q, k, v = qkv(n)
    mask = some_mask(n) if masked else None
    gradients = []
    for kernel in (attend_dense, lambda *a: attend_chunked(*a, block=block)):
        leaves = [t.clone().requires_grad_() for t in (q, k, v)]
        o, log_diagonal = kernel(*leaves, mask)
        (o.sin().sum() + log_diagonal.cos().sum()).backward()
        gradients.append([o, log_diagonal, *(t.grad for t in leaves)])
    for dense, chunked in zip(*gradients):
        torch.testing.assert_close(chunked, dense)
    gate = torch.tensor([0.8, -0.5], dtype=torch.double)
    right, _ = attend_dense(q, k, v, mask)
    real = torch.ones(2, 1, n, 1) if mask is None else mask[:, None, :, None].double()
    y = v + gate[:, None, None] * right * real
    x, log_diagonal = solve_blocks(q, k, y, gate, mask, block=block)
    torch.testing.assert_close(x, v)
    torch.testing.assert_close(log_diagonal, attend_dense(q, k, v, mask)[1])


def test_the_kernel_is_chosen_by_size_and_can_be_forced():
    assert choose(DENSE_UP_TO) == 'dense'
    assert choose(DENSE_UP_TO + 1) == 'chunked'
    assert choose(3, 'chunked') == 'chunked'
    with pytest.raises(ValueError, match='kernel must be one of'):
        attend(*qkv(3), kernel='warp')


def test_chunked_memory_grows_linearly():
    """Counts bytes that operators allocate at any one time, not time."""

    def peak(n):
        q, k, v = (t.float().requires_grad_() for t in qkv(n, heads=1, d=8))
        with torch.profiler.profile(profile_memory=True) as profile:
            o, log_diagonal = attend_chunked(q, k, v)
            (o.sum() + log_diagonal.sum()).backward()
        now = top = 0
        for event in profile.profiler.kineto_results.events():
            if event.name() == '[memory]':
                now += event.nbytes()
                top = max(top, now)
        return top

    sizes = [peak(n) for n in (1024, 2048, 4096)]
    assert sizes[0] > 0
    assert sizes[1] / sizes[0] < 2.2, sizes
    assert sizes[2] / sizes[1] < 2.2, sizes


@pytest.mark.parametrize('gate', [0.9, -0.9])
@pytest.mark.parametrize('attention', ['shift', 'one-hot', 'random', 'huge logits'])
def test_the_condition_number_is_within_its_bound(gate, attention):
    n = 24
    q, k, v = qkv(n, heads=1, d=n)
    if attention == 'shift':  # every token looks at the next one: the worst case for g = 1
        q, k = 40 * torch.eye(n).roll(1, 1).expand_as(q), torch.eye(n).expand_as(k)
    elif attention == 'one-hot':
        q, k = torch.zeros_like(q), torch.zeros_like(k)
        q[..., 0], k[..., n - 1, 0] = 100, 1
    elif attention == 'huge logits':
        q, k = 1000 * q.sign(), k.sign()
    q, k = q.double(), k.double()
    p, log_diagonal = attend_dense(q, k, torch.eye(n, dtype=torch.double).expand(2, 1, n, n))
    a = torch.eye(n, dtype=torch.double) + gate * p[0, 0]
    kappa = a.abs().sum(1).max() * torch.linalg.inv(a).abs().sum(1).max()
    assert kappa <= (1 + abs(gate)) / (1 - abs(gate)) * (1 + 1e-9)
    assert log_diagonal.isfinite().all()
    g = torch.tensor([gate], dtype=torch.double)
    x, _ = solve(q[:1], k[:1], a @ v[:1], g)
    torch.testing.assert_close(x, v[:1])


@pytest.mark.parametrize('kernel', ['dense', 'chunked'])
def test_logits_of_a_thousand_stay_finite_in_float32(kernel):
    q, k, v = (t.float().requires_grad_() for t in qkv(9))
    o, log_diagonal = attend(1000 * q, k, v, kernel=kernel)
    terms = torch.log1p(0.9 * log_diagonal.exp())
    (o.sum() + terms.sum()).backward()
    assert log_diagonal.min() < -104  # where softmax underflows in float32
    for tensor in (o, log_diagonal, q.grad, k.grad, v.grad):
        assert tensor.isfinite().all()


def stack(depth, gate, dim=16, n=64, **options):
    return Chain(
        *(
            InvertibleCrossAttention(
                dim,
                TokenPartition.mmca((n, n), target=i % 2, reverse=i % 4 > 1),
                gate=gate,
                **options,
            )
            for i in range(depth)
        )
    ).eval()


def relative_error(flow, x):
    with torch.no_grad():
        again, _ = flow.inverse(flow(x)[0])
    return float((again - x).norm() / x.norm())


def test_96_bounded_layers_round_trip_in_float32():
    flow = stack(96, 'bounded', gate_init=1 / 48, gate_max=4 / 48)
    assert relative_error(flow, torch.randn(1, 128, 16)) < 1e-5
    with torch.no_grad():  # every gate at its bound: what training can do at worst
        for layer in flow:
            layer.raw_gate.fill_(20.0)
    assert relative_error(flow, torch.randn(1, 128, 16)) < 1e-4


def test_the_papers_gate_round_trips_at_depth_8_and_not_at_96():
    assert relative_error(stack(8, 'paper'), torch.randn(1, 128, 16)) < 1e-5
    # Documents why the gate is bounded; float64 does not help either.
    deep = stack(96, 'paper').double()
    assert relative_error(deep, torch.randn(1, 128, 16, dtype=torch.double)) > 1e-4


def test_the_condition_bound_reports_the_gate():
    ica = InvertibleCrossAttention(4, TokenPartition.halves(6), gate_init=0.5)
    assert ica.condition_bound().tolist() == pytest.approx([3.0])
    paper = InvertibleCrossAttention(4, TokenPartition.halves(6), gate='paper')
    assert paper.condition_bound().tolist() == [6.0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_heads': 3}, 'num_heads must divide dim; got 3 heads, 8 channels'),
        ({'gate': 'open'}, "gate must be one of .*got 'open'"),
        ({'gate_max': 1.0}, 'gate_max must lie in'),
        ({'gate_init': 0.95}, r'\|gate_init\| below it'),
        ({'kernel': 'x'}, 'kernel must be one of'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        InvertibleCrossAttention(8, TokenPartition.halves(4), **options)
