"""Every bijection keeps the contract of ``mango_mm.flows.Bijection``.

To put a new bijection under test, add one line to ``ZOO``. B, N and D differ from each
other, and N from the number of moved tokens, so that no wrong factor can hide.
"""

import copy
import pickle

import pytest
import torch

from mango_mm import flows
from mango_mm.flows import TokenPartition, baselines
from mango_mm.fusion.mango_block import RECIPES, LayerOptions, build_block
from mango_mm.testing import assert_is_bijection

B, N, D = 2, 7, 4


def ica(partition, **options):
    return flows.InvertibleCrossAttention(D, partition, **options)


def block(recipe, lengths=(4, 3), index=1):
    options = LayerOptions(num_heads=2).with_gates_for(4)
    return build_block(recipe, D, lengths, index, options)


ZOO = {
    'ICA, MMCA, fewer fixed than moved': lambda: ica(TokenPartition.mmca((3, 4), target=1)),
    'ICA, MMCA, more fixed than moved': lambda: ica(TokenPartition.mmca((4, 3), target=1)),
    'ICA, three modalities': lambda: ica(TokenPartition.mmca((3, 2, 2), target=1)),
    'ICA, IMCA, reversed': lambda: ica(TokenPartition.imca((4, 3), variant=2, reverse=True)),
    'ICA, interleaved': lambda: ica(TokenPartition.imca((4, 3), variant=1, interleaved=True)),
    'ICA, paper gate': lambda: ica(TokenPartition.halves(N), gate='paper'),
    'ICA, negative gate': lambda: ica(TokenPartition.halves(N), gate_init=-0.8),
    **{
        f'ICA, two heads, {kernel}': lambda kernel=kernel: ica(
            TokenPartition.halves(N, swap=True), num_heads=2, kernel=kernel
        )
        for kernel in ('dense', 'chunked', 'fused')
    },
    'ICA, nothing moves': lambda: ica(TokenPartition(fixed=(0, 2), moved=())),
    'ICA, nothing conditions': lambda: ica(TokenPartition(fixed=(), moved=(1, 2, 3))),
    'token linear': lambda: flows.TokenLinear(N),
    'token linear, flipped': lambda: flows.TokenLinear(N, permutation='flip'),
    'token linear, random order': lambda: flows.TokenLinear(N, permutation='random'),
    'affine coupling': lambda: flows.AffineCoupling(D),
    'affine coupling, swapped': lambda: flows.AffineCoupling(D, swap=True),
    'attention coupling': lambda: flows.AttentionCoupling(
        D, TokenPartition.mmca((4, 3), target=0), num_heads=2
    ),
    'Glow, channels': lambda: baselines.ChannelLinear(D),
    'Flow++, mixture': lambda: baselines.MixtureCoupling(D, num_heads=2),
    'Flow++, mixture, swapped': lambda: baselines.MixtureCoupling(D, swap=True, components=2),
    'AttnFlow, map': lambda: baselines.MapAttention(D, TokenPartition.imca((4, 3), variant=1)),
    'ActNorm': lambda: flows.ActNorm(D).eval(),
    'chain': lambda: flows.Chain(flows.ActNorm(D).eval(), flows.AffineCoupling(D)),
    'empty chain': flows.Chain,
    'inverse': lambda: flows.Inverse(ica(TokenPartition.halves(N))),
    'sandwich': lambda: flows.Sandwich(flows.TokenLinear(N), ica(TokenPartition.halves(N))),
    'LICA': lambda: flows.LearnableCrossAttention(D, N, num_heads=2),
    'LICA, reversed, swapped, random order': lambda: flows.LearnableCrossAttention(
        D, N, swap=True, reverse=True, permutation='random'
    ),
    **{f'block, {name}': lambda name=name: block(RECIPES[name]) for name in RECIPES},
    'block, three modalities': lambda: block(RECIPES['paper_cross_modal'], (3, 2, 2)),
    'block, all other steps': lambda: block(('actnorm', 'within_modal')).eval(),
}  # fmt: skip


@pytest.fixture(params=ZOO.values(), ids=ZOO.keys())
def bijection(request):
    torch.manual_seed(0)
    layer = request.param().double().eval()
    with torch.no_grad():  # not where it starts: zeros would hide half of the layer
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


@pytest.fixture
def x():
    return torch.randn(B, N, D, dtype=torch.double)


@pytest.fixture
def mask():
    real = torch.ones(B, N, dtype=torch.bool)
    real[0, 2] = real[1, 5] = real[1, 0] = False
    return real


def test_it_is_a_bijection_with_the_log_det_of_its_jacobian(bijection, x):
    assert_is_bijection(bijection, x)


def test_so_it_is_with_padding(bijection, x, mask):
    assert_is_bijection(bijection, x, mask=mask)


def test_padding_stays_and_moves_nothing(bijection, x, mask):
    y, log_det = bijection(x, mask=mask)
    torch.testing.assert_close(y[~mask], x[~mask], rtol=0, atol=0)
    other = x.masked_fill(~mask[..., None], float('nan'))
    y_other, log_det_other = bijection(other, mask=mask)
    torch.testing.assert_close(y_other[mask], y[mask])
    torch.testing.assert_close(log_det_other, log_det)


def test_a_full_mask_changes_nothing(bijection, x):
    y, log_det = bijection(x)
    masked, log_det_masked = bijection(x, mask=torch.ones(B, N, dtype=torch.bool))
    torch.testing.assert_close(masked, y)
    torch.testing.assert_close(log_det_masked, log_det)


def test_a_sample_does_not_depend_on_its_batch(bijection, x):
    y, log_det = bijection(x)
    alone, log_det_alone = bijection(x[1:])
    torch.testing.assert_close(alone, y[1:])
    torch.testing.assert_close(log_det_alone, log_det[1:])


def test_every_parameter_gets_a_gradient(bijection, x):
    x.requires_grad_()  # the empty chain has no parameter of its own
    y, log_det = bijection(x)
    (y.square().sum() - log_det.sum()).backward()
    moved = [getattr(m, 'partition', None) for m in bijection.modules()]
    if any(p is not None and min(len(p.moved), len(p.fixed)) == 0 for p in moved):
        return  # attention over nothing has nothing to learn
    assert [n for n, p in bijection.named_parameters() if p.grad is None] == []


def test_gradients_pass_through_the_inverse(bijection, x):
    x.requires_grad_()
    y, _ = bijection(x)
    again, _ = bijection.inverse(y)
    (gradient,) = torch.autograd.grad(again.sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x), rtol=0, atol=1e-8)


@pytest.fixture
def twice_differentiable_attention():
    """For conditioners: torch's flash attention refuses second derivatives (in its own words)."""
    attention = pytest.importorskip('torch.nn.attention', reason='torch 2.3 or later')
    with attention.sdpa_kernel(attention.SDPBackend.MATH):
        yield


def hessian_vector_product(function, x, v):
    (gradient,) = torch.autograd.grad(function(x), x, create_graph=True)
    return torch.autograd.grad(gradient, x, v)[0]


@pytest.mark.usefixtures('twice_differentiable_attention')
@pytest.mark.parametrize('direction', ['forward', 'inverse'])
@pytest.mark.parametrize('masked', [False, True])
def test_second_derivatives_are_those_of_finite_differences(bijection, x, mask, direction, masked):
    """With gradients of y that need none: autograd's own error node would not be on the path."""
    function = getattr(bijection, direction)
    mask = mask if masked else None

    def scalar(x):
        y, log_det = function(x, mask=mask)
        return y.sin().sum() + log_det.sum()

    x, v, step = x.requires_grad_(), torch.randn_like(x), 1e-4
    got = hessian_vector_product(scalar, x, v)

    def slope(at):
        at = at.detach().requires_grad_()
        return torch.autograd.grad(scalar(at), at)[0]

    # Central differences of fourth order: truncation and rounding both below 1e-8 here.
    wanted = (
        8 * (slope(x + step * v) - slope(x - step * v))
        - (slope(x + 2 * step * v) - slope(x - 2 * step * v))
    ) / (12 * step)
    error = (got - wanted).abs().max() / wanted.abs().max().clamp(min=1)
    assert error < 1e-8, float(error)


@pytest.mark.usefixtures('twice_differentiable_attention')
def test_it_can_be_checkpointed_and_differentiated_twice(bijection, x):
    def scalar(x):
        y, log_det = bijection(x)
        return y.sin().sum() + log_det.sum()

    x, v = x.requires_grad_(), torch.randn_like(x)
    got = hessian_vector_product(
        lambda x: torch.utils.checkpoint.checkpoint(scalar, x, use_reentrant=False), x, v
    )
    torch.testing.assert_close(got, hessian_vector_product(scalar, x, v))


@pytest.mark.usefixtures('twice_differentiable_attention')
@pytest.mark.parametrize('direction', ['forward', 'inverse'])
def test_forward_mode_and_torch_func_are_right_or_name_the_dense_kernel(bijection, x, direction):
    function = getattr(bijection, direction)
    v = torch.randn_like(x)
    wanted = torch.autograd.functional.jvp(lambda x: function(x)[0], x, v)[1]
    named = [
        m.kernel
        for m in bijection.modules()
        if isinstance(m, flows.InvertibleCrossAttention) and len(m.partition.moved)
    ]
    if {'chunked', 'fused'} & set(named):
        with pytest.raises(ValueError, match="need kernel='dense'"):
            torch.func.jvp(lambda x: function(x)[0], (x,), (v,))
        return
    got = torch.func.jvp(lambda x: function(x)[0], (x,), (v,))[1]
    torch.testing.assert_close(got, wanted)
    each = torch.func.vmap(lambda one: function(one[None])[0][0])(x)
    torch.testing.assert_close(each, function(x)[0])
    rows = torch.func.vmap(torch.func.grad(lambda one: function(one[None])[1].sum()))(x)
    x.requires_grad_()
    (wanted,) = torch.autograd.grad(function(x)[1].sum() + 0 * x.sum(), x)
    torch.testing.assert_close(rows, wanted)


def test_an_empty_batch_comes_back_empty(bijection, x):
    y, log_det = bijection(x[:0])
    again, _ = bijection.inverse(y)
    assert (y.shape, again.shape, log_det.shape) == ((0, N, D), (0, N, D), (0,))


def test_wrong_input_is_one_error(bijection, x, mask):
    with pytest.raises(ValueError, match=r'maps tokens \(B, N, D\); got \(7, 4\)'):
        bijection(x[0])
    with pytest.raises(ValueError, match=r'needs a bool mask \(2, 7\).*got torch.float32'):
        bijection(x, mask=mask.float())
    with pytest.raises(ValueError, match=r'needs a bool mask \(2, 7\).*\(2, 6\)'):
        bijection.inverse(x, mask=mask[:, 1:])
    if not list(bijection.parameters()):
        return  # the empty chain has no precision of its own
    with pytest.raises(TypeError, match=r'is in torch.float64 .*got torch.float32.*\.to\('):
        bijection(x.float())


def test_half_precision_tokens_come_out_in_float32(bijection, x):
    y, log_det = bijection.float()(x.bfloat16())
    assert (y.dtype, log_det.dtype) == (torch.float32, torch.float32)


# torch 2.1 has bfloat16 alone on a CPU
HALF = [torch.bfloat16, *([torch.float16] if torch.__version__ >= '2.3' else [])]


@pytest.mark.parametrize('dtype', HALF, ids=str)
def test_autocast_does_not_reach_inside(bijection, x, dtype):
    bijection, x = bijection.float(), x.float()
    plain, log_det = bijection(x)
    with torch.autocast('cpu', dtype=dtype):
        under, log_det_under = bijection(x)
        back, _ = bijection.inverse(under)
    torch.testing.assert_close(under, plain, rtol=0, atol=0)
    torch.testing.assert_close(log_det_under, log_det, rtol=0, atol=0)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-4)


def test_it_survives_copy_pickle_and_a_safe_checkpoint(bijection, x, tmp_path):
    expected, _ = bijection(x)
    torch.testing.assert_close(copy.deepcopy(bijection)(x)[0], expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(bijection))(x)[0], expected)
    torch.save(bijection.state_dict(), tmp_path / 'state.pth')
    state = torch.load(tmp_path / 'state.pth', weights_only=True)
    with torch.no_grad():
        for parameter in bijection.parameters():
            parameter.zero_()
    bijection.load_state_dict(state)
    torch.testing.assert_close(bijection(x)[0], expected)


def test_reset_puts_it_back_to_its_start(bijection):
    flows.reset_tree(bijection)
    y, _ = bijection(torch.randn(1, N, D, dtype=torch.double))
    assert y.isfinite().all()
    for module in bijection.modules():
        if isinstance(module, flows.AffineCoupling):
            assert not module.conditioner[-1].weight.any()
        if isinstance(module, flows.AttentionCoupling):
            assert not module.to_scale_and_shift.weight.any()
        if isinstance(module, flows.InvertibleCrossAttention) and module.raw_gate is not None:
            torch.testing.assert_close(
                module.gates(), torch.full_like(module.gates(), module.gate_init)
            )


def test_every_concrete_bijection_is_in_the_zoo():
    exported = {
        c
        for module in (flows, baselines)
        for c in map(vars(module).get, module.__all__)
        if isinstance(c, type) and issubclass(c, flows.Bijection)
    }
    assert exported - {flows.Bijection} == {type(make()) for make in ZOO.values()}
