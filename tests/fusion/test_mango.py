"""MANGO: exact likelihood, exact inverse, recipes, windows, unequal lengths."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mango_mm import flows
from mango_mm.fusion import RECIPES, ConcatFusion, MangoFusion
from mango_mm.fusion.mango_block import moves_per_token
from mango_mm.testing import assert_is_bijection, jacobian_log_det


def shake(model, std):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(std * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize(('count', 'n_a', 'n_b', 'dim'), [(2, 5, 5, 3), (2, 6, 3, 4), (3, 4, 2, 5)])
@pytest.mark.parametrize('recipe', sorted(RECIPES))
def test_log_det_of_two_blocks_is_that_of_the_jacobian(count, n_a, n_b, dim, recipe):
    lengths = (n_a, n_b, n_a)[:count]
    model = MangoFusion('abc'[:count], dim, lengths, depth=2, recipe=recipe, reduction='sequence')
    flow = shake(model.double(), 0.3).flow
    assert_is_bijection(flow, torch.randn(2, sum(lengths), dim, dtype=torch.double))


def test_log_prob_is_that_of_the_change_of_variables():
    model = shake(
        MangoFusion(('a', 'b'), 3, (3, 2), depth=1, reduction='sequence', normalize=False), 0.3
    ).double()
    x = torch.randn(1, 5, 3, dtype=torch.double)
    output = model({'a': x[:, :3], 'b': x[:, 3:]})
    z = torch.cat([output.latents['a'], output.latents['b']], 1)
    base = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    expected = base + jacobian_log_det(lambda t: model.flow(t)[0], x[0])
    torch.testing.assert_close(output.log_prob[0], expected)
    assert output.num_dims.tolist() == [15]


def test_the_papers_network_has_96_ica_layers_and_12_couplings():
    model = MangoFusion(('rgb', 'depth'), 4, 4)
    kinds = [type(m).__name__ for m in model.flow.modules()]
    assert kinds.count('InvertibleCrossAttention') == 96
    assert kinds.count('AffineCoupling') == 12
    assert kinds.count('TokenLinear') == 24
    assert moves_per_token(RECIPES['paper'], 12) == 48
    gates = torch.cat([m.gates() for m in model.flow.modules() if hasattr(m, 'gates')])
    torch.testing.assert_close(gates, torch.full_like(gates, 1 / 48))


def test_token_order_alternates_so_that_no_token_is_always_last():
    model = MangoFusion(('rgb', 'depth'), 4, 4, depth=2)
    first, second = (
        [m.partition.moved.tolist() for m in block.modules() if hasattr(m, 'gates')]
        for block in model.flow
    )
    assert [tokens[::-1] for tokens in first] == second


@pytest.mark.parametrize('std', [0.0, 0.02])
def test_the_default_model_reconstructs_its_input_in_float32(std):
    model = shake(MangoFusion(('rgb', 'depth'), 64, 100), std)
    features = {m: 3 + 2 * torch.randn(1, 100, 64) for m in model.modalities}
    with torch.no_grad():
        output = model(features)
        again = model.inverse(output)
    for name, x in features.items():
        assert float((again[name] - x).norm() / x.norm()) < 1e-4


def test_a_trained_default_model_reconstructs_its_input_in_float32():
    model = MangoFusion(('rgb', 'depth'), 16, 16, depth=12)
    base = torch.randn(16, 16, 16)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(30):
        noise = 0.1 * torch.randn(2, 16, 16, 16)
        output = model({'rgb': base + noise[0], 'depth': base.flip(1) + noise[1]})
        loss = output.nll_per_dim().mean() + (output.fused - base).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(output.nll_per_dim().mean().detach()) < 0.5 * math.log(2 * math.pi) + 0.5 - 0.05
    features = {'rgb': base, 'depth': base.flip(1)}
    with torch.no_grad():
        output = model.eval()(features)
        again = model.inverse(output)
    for name, x in features.items():
        assert float((again[name] - x).norm() / x.norm()) < 1e-4


@given(height=st.integers(1, 7), width=st.integers(1, 7), window=st.integers(2, 4))
def test_windows_are_a_bijection_of_grids_of_any_size(height, width, window):
    model = shake(MangoFusion(('rgb', 'depth'), 4, window=window, depth=1).double(), 0.2)
    grid = (height, width)
    features = {m: torch.randn(2, height * width, 4, dtype=torch.double) for m in model.modalities}
    output = model(features, grid=grid)
    again = model.inverse(output)
    for name, x in features.items():
        torch.testing.assert_close(again[name], x)
    assert output.num_dims.tolist() == [2 * height * width * 4] * 2


def test_the_density_of_windows_is_the_sum_over_windows():
    model = shake(MangoFusion(('rgb', 'depth'), 4, window=2, depth=1), 0.2)
    features = {m: torch.randn(1, 8, 4) for m in model.modalities}
    whole = model(features, grid=(2, 4)).log_prob
    columns = torch.arange(8) % 4
    halves = [
        model({m: x[:, columns // 2 == i] for m, x in features.items()}, grid=(2, 2)).log_prob
        for i in range(2)
    ]
    torch.testing.assert_close(whole, sum(halves))


@given(words=st.integers(1, 5), pad=st.integers(0, 3))
def test_text_padding_changes_neither_features_nor_likelihood(words, pad):
    longest = 8
    model = shake(
        MangoFusion(
            ('image', 'text'), 4, (6, longest), depth=2, recipe='paper_cross_modal',
            reduction='sequence',
        ).double(),
        0.2,
    )  # fmt: skip
    image = torch.randn(1, 6, 4, dtype=torch.double)
    text = torch.randn(1, longest, 4, dtype=torch.double)
    mask = torch.arange(longest)[None] < words
    filler = torch.where(mask[..., None], text, pad * torch.randn_like(text))
    a = model({'image': image, 'text': text}, masks={'text': mask})
    b = model({'image': image, 'text': filler}, masks={'text': mask})
    torch.testing.assert_close(a.log_prob, b.log_prob, rtol=0, atol=1e-10)
    torch.testing.assert_close(a.fused[a.mask], b.fused[b.mask], rtol=0, atol=1e-10)
    assert a.num_dims.tolist() == [(6 + words) * 4]


def test_checkpointing_changes_no_gradient():
    torch.manual_seed(1)
    plain = MangoFusion(('a', 'b'), 4, 5, depth=2)
    saving = MangoFusion(('a', 'b'), 4, 5, depth=2, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    features = {m: torch.randn(2, 5, 4) for m in 'ab'}
    for model in (plain, saving):
        output = model(features)
        (output.fused.square().sum() - output.log_prob.sum()).backward()
    for a, b in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_detached_encoder_gets_no_gradient_from_the_likelihood():
    for detach in (False, True):
        model = MangoFusion(('a', 'b'), 4, 5, depth=1, detach_encoder=detach)
        features = {m: torch.randn(2, 5, 4, requires_grad=True) for m in 'ab'}
        output = model(features)
        grads = torch.autograd.grad(
            output.log_prob.sum(), list(features.values()), retain_graph=True, allow_unused=True
        )
        assert all((g is None or not g.any()) == detach for g in grads)
        assert torch.autograd.grad(output.fused.sum(), features['a'])[0].any()


def test_log_prob_is_float32_under_autocast():
    model = MangoFusion(('a', 'b'), 4, 5, depth=1).eval()
    features = {m: torch.randn(2, 5, 4) for m in 'ab'}
    expected = model(features).log_prob
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = model(features).log_prob
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, 'give either num_tokens .* or window'),
        ({'num_tokens': 4, 'window': 2}, 'give either num_tokens'),
        ({'num_tokens': (4, 5, 6)}, 'num_tokens must be positive, for each of'),
        ({'num_tokens': 4, 'recipe': 'best'}, "recipe must be one of .*got 'best'"),
        ({'num_tokens': 4, 'recipe': ('mmca', 'x')}, r"steps of a recipe .*got \['x'\]"),
        ({'num_tokens': 4, 'reduction': 'mean'}, "reduction must be one of .*got 'mean'"),
        ({'num_tokens': 4, 'layers': {'halves': 'thirds'}}, "halves must be .*got 'thirds'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MangoFusion(('a', 'b'), 4, depth=1, **options)


def test_a_wrong_number_of_tokens_says_what_to_do():
    model = MangoFusion(('a', 'b'), 4, 5, depth=1)
    with pytest.raises(ValueError, match=r'built for \(5, 5\) tokens.*got \(6, 6\).*window'):
        model({m: torch.randn(1, 6, 4) for m in 'ab'})
    windowed = MangoFusion(('a', 'b'), 4, window=2, depth=1)
    with pytest.raises(ValueError, match='windows need grid'):
        windowed({m: torch.randn(1, 6, 4) for m in 'ab'})


def test_a_single_modality_still_has_a_flow():
    model = MangoFusion(('rgb',), 4, 6, depth=1)
    output = model({'rgb': torch.randn(2, 6, 4)})
    assert output.fused.shape == (2, 6, 4)
    assert not any(
        isinstance(m, flows.InvertibleCrossAttention) and len(m.partition.fixed) == 0
        for m in model.modules()
    )


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('steps', ['paper_cross_modal', ('actnorm', 'mmca', 'lica')], ids=str)
def test_a_step_never_waits_for_the_device(steps, masked):
    """Fake tensors have shapes and no numbers: reading one back, as .item() does, raises."""
    model = MangoFusion(('a', 'b'), 4, 6, depth=2, recipe=steps)
    features = {m: torch.randn(2, 6, 4) for m in 'ab'}
    model(features)  # ActNorm looks at its flag once
    with FakeTensorMode(allow_non_fake_inputs=True):
        features = {m: torch.randn(2, 6, 4) for m in 'ab'}
        masks = {'a': torch.ones(2, 6, dtype=torch.bool)} if masked else None
        output = model(features, masks=masks)
        loss = output.fused.square().mean() + output.nll_per_dim().mean()
        torch.autograd.grad(loss, list(model.parameters()))
        model.inverse(output)
        with pytest.raises(DataDependentOutputException):
            loss.item()


@pytest.mark.parametrize('recipe', ['paper', 'cross_modal', 'paper_cross_modal'])
def test_the_shares_of_all_tokens_are_the_whole_likelihood(recipe):
    torch.manual_seed(0)
    fusion = shake(
        MangoFusion(('rgb', 'depth'), 4, window=(3, 4), depth=2, recipe=recipe).double(), 0.3
    )  # 5 x 6 positions in windows of 3 x 4: some are padding
    features = {m: torch.randn(2, 30, 4, dtype=torch.float64) for m in ('rgb', 'depth')}
    terms = fusion.log_prob_terms(features, grid=(5, 6))
    assert {m: x.shape for m, x in terms.items()} == {'rgb': (2, 30), 'depth': (2, 30)}
    total = sum(x.sum(1) for x in terms.values())
    torch.testing.assert_close(total, fusion(features, grid=(5, 6)).log_prob)
    # A token that is padding has no share; one of another modality has.
    masks = {'depth': torch.ones(2, 30, dtype=torch.bool)}
    masks['depth'][1, 7:] = False
    terms = fusion.log_prob_terms(features, masks=masks, grid=(5, 6))
    assert not terms['depth'][1, 7:].any()
    total = sum(x.sum(1) for x in terms.values())
    wanted = fusion(features, masks=masks, grid=(5, 6)).log_prob
    torch.testing.assert_close(total, wanted)


@pytest.mark.parametrize('reduction', ['concat', 'sequence', 'sum'])
@pytest.mark.parametrize(
    'options', [dict(num_tokens=6), dict(window=(2, 2))], ids=['whole', 'windows']
)
def test_with_means_and_deviations_restored_it_starts_as_concatenation(options, reduction):
    torch.manual_seed(0)
    model = MangoFusion(
        ('a', 'b'), 8, depth=2, recipe='paper_cross_modal', reduction=reduction,
        normalize='restore', layers=dict(gate_init=0.0), **options,
    )  # fmt: skip
    concat = ConcatFusion(('a', 'b'), 8, reduction=reduction)
    concat.reduce.load_state_dict(model.reduce.state_dict())
    grid = (2, 3)
    x = {m: 3 + 5 * torch.randn(4, 6, 8) for m in 'ab'}
    masks = {'b': torch.ones(4, 6, dtype=torch.bool)}
    masks['b'][1] = False  # a sample that lacks a modality
    x['b'][1] = 0.0
    for some in (None, masks):
        out = model(x, masks=some, grid=grid)
        wanted = concat(x, masks=some, grid=grid)
        torch.testing.assert_close(out.fused, wanted.fused, rtol=1e-4, atol=1e-4)
        # The density is that of normalised tokens, and nothing is lost.
        plain = MangoFusion(
            ('a', 'b'), 8, depth=2, recipe='paper_cross_modal', reduction=reduction,
            layers=dict(gate_init=0.0), **options,
        )  # fmt: skip
        plain.load_state_dict(model.state_dict())
        torch.testing.assert_close(out.log_prob, plain(x, masks=some, grid=grid).log_prob)
        again = model.inverse(out)
        torch.testing.assert_close(again['a'], x['a'], rtol=1e-4, atol=1e-4)
    out.fused.square().mean().backward()
    gates = [p for n, p in model.named_parameters() if n.endswith('raw_gate')]
    assert all(p.grad.any() for p in gates)  # it does not stay there


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="normalize must be True, False or 'restore'; got 'undo'"):
        MangoFusion(('a', 'b'), 8, 6, normalize='undo')


def test_what_would_not_fit_is_said_before_it_is_built_or_run():
    from mango_mm.fusion import mango

    fusion = MangoFusion(('a', 'b'), 4, window=(4, 6), depth=1)
    x = {m: torch.randn(2, 6, 4) for m in 'ab'}
    with pytest.warns(UserWarning, match=r'windows of 4 x 6 are larger than the token grid, 2 x 3'):
        fusion(x, grid=(2, 3))
    with pytest.warns(UserWarning, match=r'flow over 8192 tokens at once .* about 24\.0 GiB'):
        mango._warn_of_memory(8192, 12)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        MangoFusion(('a', 'b'), 4, window=8, depth=2)
