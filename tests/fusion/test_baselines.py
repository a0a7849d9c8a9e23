"""Baselines against an independent computation of their defining equation."""

import pytest
import torch

from mango_mm import fusion
from mango_mm.fusion import (
    ChannelExchangeFusion,
    ConcatFusion,
    CrossAttentionFusion,
    GatedFusion,
    GeminiFusion,
    SumFusion,
    TokenFusion,
)

X = {'a': torch.randn(2, 5, 4), 'b': torch.randn(2, 5, 4)}


def test_concat_is_one_linear_map_of_both():
    model = ConcatFusion(('a', 'b'), 4, 3)
    weight, bias = model.reduce.project.weight, model.reduce.project.bias
    expected = X['a'] @ weight[:, :4].T + X['b'] @ weight[:, 4:].T + bias
    torch.testing.assert_close(model(X).fused, expected)


def test_sum_treats_modalities_alike():
    model = SumFusion(('a', 'b'), 4, 3)
    swapped = {'a': X['b'], 'b': X['a']}
    torch.testing.assert_close(model(X).fused, model(swapped).fused)


def test_cross_attention_is_torchs_multihead_attention_over_the_others():
    model = CrossAttentionFusion(('a', 'b'), 4, depth=1, num_heads=2)
    layer = model.blocks[0][0]
    mha = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    with torch.no_grad():
        mha.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.key_value.weight]))
        mha.in_proj_bias.copy_(torch.cat([layer.query.bias, layer.key_value.bias]))
        mha.out_proj.load_state_dict(layer.project.state_dict())
    context = layer.norm_context(X['b'])
    attended, _ = mha(layer.norm_query(X['a']), context, context)
    x = X['a'] + attended
    expected = model.norms[0](x + layer.perceptron(x))
    torch.testing.assert_close(model(X).latents['a'], expected)


def test_sequences_of_different_lengths_keep_every_token():
    features = {'image': torch.randn(2, 6, 4), 'text': torch.randn(2, 3, 4)}
    mask = torch.tensor([[True, True, False], [True, True, True]])
    for kind in (ConcatFusion, CrossAttentionFusion):
        output = kind(('image', 'text'), 4, reduction='sequence')(features, masks={'text': mask})
        assert output.fused.shape == (2, 9, 4)
        assert output.mask.sum(1).tolist() == [8, 9]


def test_gmu_is_its_formula_for_two_and_for_three():
    model = GatedFusion(('a', 'b'), 4, 3)
    h = [torch.tanh(X[m] @ layer.weight.T + layer.bias) for m, layer in zip('ab', model.hidden)]
    z = 1 / (1 + torch.exp(-(torch.cat([X['a'], X['b']], -1) @ model.gate.weight.T)))
    torch.testing.assert_close(model(X).fused, z * h[0] + (1 - z) * h[1])
    three = GatedFusion(('a', 'b', 'c'), 4, 3)
    x = {**X, 'c': torch.randn(2, 5, 4)}
    joint = torch.cat(list(x.values()), -1)
    parts = [
        torch.sigmoid(joint @ three.gate.weight[3 * i : 3 * i + 3].T) * torch.tanh(layer(x[m]))
        for i, (m, layer) in enumerate(zip('abc', three.hidden))
    ]
    torch.testing.assert_close(three(x).fused, parts[0] + parts[1] + parts[2])


def test_tokenfusion_replaces_low_scores_by_the_other_modality():
    model = TokenFusion(('a', 'b'), 4, threshold=0.5, sparsity_weight=0.1).double()
    x = {m: torch.randn(2, 7, 4, dtype=torch.float64) for m in 'ab'}
    scores = torch.cat(list(model(x).extras['scores'].values()))
    threshold = model.exchange.threshold = float(scores.median())  # some above, some below
    output = model(x)
    score = {m: s[..., 0] for m, s in output.extras['scores'].items()}
    for m, scorer in zip('ab', model.exchange.scorers):
        # The release's PredictorLG, from its description: widths and what stands between them.
        norm, *layers = scorer
        linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        assert [(f.in_features, f.out_features) for f in linear] == [(4, 4), (4, 2), (2, 1), (1, 2)]
        logits = torch.nn.functional.layer_norm(x[m], (4,), norm.weight, norm.bias, 1e-5)
        for index, f in enumerate(linear):
            logits = logits @ f.weight.T + f.bias
            logits = torch.nn.functional.gelu(logits) if index < 3 else logits
        torch.testing.assert_close(score[m], 1 / (1 + torch.exp(logits[..., 1] - logits[..., 0])))
    swapped = 0
    for m, k in ('ab', 'ba'):
        for b in range(2):
            for n in range(7):
                low = score[m][b, n] < threshold
                source = k if low else m
                swapped += int(low)
                wanted = x[source][b, n] * score[source][b, n]
                torch.testing.assert_close(output.latents[m][b, n], wanted)
    assert 0 < swapped < 28
    penalty = 0.1 * (score['a'].sum() + score['b'].sum())  # over samples and tokens
    torch.testing.assert_close(output.losses['token_scores'], penalty)


def test_tokenfusion_deals_partners_in_turn_among_three():
    model = TokenFusion(('a', 'b', 'c'), 4, threshold=2.0)  # every token is exchanged
    x = {**X, 'c': torch.randn(2, 5, 4)}
    output = model(x)
    scored = {m: x[m] * output.extras['scores'][m] for m in 'abc'}
    partners = {'a': 'bc', 'b': 'ac', 'c': 'ab'}
    for m, (even, odd) in partners.items():
        torch.testing.assert_close(output.latents[m][:, 0::2], scored[even][:, 0::2])
        torch.testing.assert_close(output.latents[m][:, 1::2], scored[odd][:, 1::2])


@pytest.mark.parametrize(('m', 'k'), ['ab', 'ba'])
def test_gemini_is_torchs_attention_of_every_pixel_over_two_keys(m, k):
    """As the release has it: one judge of relations for both directions, the rest for each."""
    model = GeminiFusion(('a', 'b'), 4, num_heads=2)
    layer, relation = model.exchange.attentions['ab'.index(m)], model.exchange.relation
    mha = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    parts = [layer.query, layer.key, layer.value]
    with torch.no_grad():
        mha.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        mha.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        mha.out_proj.load_state_dict(layer.project.state_dict())
    output = model(X).latents[m]
    for b in range(2):
        for n in range(5):
            x, t = X[m][b, n], X[k][b, n]
            alike = torch.softmax(relation(torch.cat([x, t])), 0)
            keys = torch.stack([x + layer.noise.weight[0], x * alike])
            values = torch.stack([x + layer.noise.weight[1], t])
            attended, _ = mha(x[None, None], keys[None], values[None])
            torch.testing.assert_close(output[b, n], x + attended[0, 0])


def test_cen_exchanges_every_small_scale_and_pushes_those_of_its_share():
    model = ChannelExchangeFusion(('a', 'b'), 4, threshold=0.1, sparsity_weight=0.5)
    with torch.no_grad():
        model.norms[0].weight.copy_(torch.tensor([0.01, 1.0, 0.02, -1.0]))  # pushed: 0, 1
        model.norms[1].weight.copy_(torch.tensor([0.03, 1.0, -0.05, 2.0]))  # pushed: 2, 3
    output = model(X)
    normal = {
        m: torch.nn.functional.batch_norm(
            X[m].reshape(10, 4), None, None, norm.weight, norm.bias, training=True
        ).view(2, 5, 4)
        for m, norm in zip('ab', model.norms)
    }
    taken = {'a': [0, 2], 'b': [0, 2]}
    for m, k in ('ab', 'ba'):
        wanted = normal[m].clone()
        wanted[..., taken[m]] = normal[k][..., taken[m]]
        torch.testing.assert_close(output.latents[m], wanted)
    penalty = 3 * 0.5 * (0.01 + 1 + 0.05 + 2)  # once for each of the release's three outputs
    torch.testing.assert_close(output.losses['channel_scales'], torch.tensor(penalty))


def test_cens_statistics_see_no_padding():
    model = ChannelExchangeFusion(('a', 'b'), 4)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    padded = {m: x.masked_fill(~mask[..., None], 99.0) for m, x in X.items()}
    model(padded, masks={'a': mask, 'b': mask})
    for m, norm in zip('ab', model.norms):
        torch.testing.assert_close(norm.running_mean, 0.1 * X[m][mask].mean(0))


@pytest.mark.parametrize('name', ['TokenFusion', 'GeminiFusion', 'GatedFusion', 'DEQFusion'])
def test_positions_must_match(name):
    features = {'image': torch.randn(2, 6, 8), 'text': torch.randn(2, 3, 8)}
    with pytest.raises(ValueError, match=rf'{name} joins tokens.*got \[6, 3\]'):
        getattr(fusion, name)(('image', 'text'), 8)(features)


def test_one_modality_is_nothing_to_fuse():
    for kind in (TokenFusion, GeminiFusion, GatedFusion, fusion.DEQFusion, ChannelExchangeFusion):
        with pytest.raises(ValueError, match='modalities'):
            kind(('a',), 8)
    with pytest.raises(ValueError, match='must divide dim'):
        GeminiFusion(('a', 'b'), 4)


def test_an_aligned_fusions_loss_ignores_padding():
    model = TokenFusion(('a', 'b'), 4)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    a, b = (
        model({m: x.masked_fill(~mask[..., None], v) for m, x in X.items()},
              masks={'a': mask, 'b': mask})
        for v in (0.0, 50.0)
    )  # fmt: skip
    torch.testing.assert_close(*(o.losses['token_scores'] for o in (a, b)))
