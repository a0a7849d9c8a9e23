"""Rivals against an independent computation of their defining equation."""

import torch

from mango_mm.fusion import ConcatFusion, CrossAttentionFusion, SumFusion

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
