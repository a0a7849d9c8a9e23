"""CMX, U3M and MCMulT against an independent computation of their equations."""

import pytest
import torch
from torch.nn import functional as F

from mango_mm.fusion import CMXFusion, MCMulTFusion, U3MFusion
from mango_mm.fusion.baselines.cross_attention import CrossBlock
from mango_mm.fusion.reduction import Reduction

B, C, H, W = 2, 8, 5, 7
MAPS = {m: torch.randn(B, C, H, W) for m in 'ab'}
TOKENS = {m: x.flatten(2).transpose(1, 2) for m, x in MAPS.items()}


def layer(linear, x):
    """A linear layer over channels of a map, as a 1 x 1 convolution."""
    bias = None if linear.bias is None else linear.bias
    return F.conv2d(x, linear.weight[..., None, None], bias)


def test_cmx_rectifies_and_fuses_as_its_equations_say():
    model = CMXFusion(('a', 'b'), C, 6, num_heads=2).eval()
    a, b = MAPS['a'], MAPS['b']
    joint = torch.cat([a, b], 1)
    pooled = torch.cat([joint.mean((2, 3)), joint.amax((2, 3))], 1)
    ch = model.rectify.channel
    weights = torch.sigmoid(ch[2](torch.relu(ch[0](pooled)))).view(B, 2, C, 1, 1)
    sp = model.rectify.spatial
    places = torch.sigmoid(layer(sp[2], torch.relu(layer(sp[0], joint)))).view(B, 2, 1, H, W)
    x = [a + 0.5 * weights[:, 1] * b + 0.5 * places[:, 1] * b,
         b + 0.5 * weights[:, 0] * a + 0.5 * places[:, 0] * a]  # fmt: skip
    x = [t.flatten(2).transpose(1, 2) for t in x]
    split = [torch.relu(m.split(t)).split(C, -1) for m, t in zip(model.exchange, x)]
    contexts = []
    for m, (_, asking) in zip(model.exchange, split):
        k, v = m.key_value(asking).split(C, -1)
        heads = [
            torch.softmax(k[..., h].transpose(1, 2) @ v[..., h] / (C / 2) ** 0.5, dim=1)
            for h in (slice(0, 4), slice(4, 8))
        ]
        contexts.append(heads)
    updated = []
    for i, (m, (kept, asking)) in enumerate(zip(model.exchange, split)):
        other = contexts[1 - i]
        read = torch.cat([asking[..., :4] @ other[0], asking[..., 4:] @ other[1]], -1)
        updated.append(m.norm(x[i] + m.project(torch.cat([kept, read], -1))))
    maps = torch.cat(updated, -1).transpose(1, 2).unflatten(2, (H, W))
    e = model.embed
    with torch.no_grad():  # not where it starts: eval mode would make nothing of it
        for norm in (e[4], model.norm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.normal_()
            norm.bias.normal_()
    deep = e[3](torch.relu(F.conv2d(e[0](maps), e[1].weight, e[1].bias, padding=1, groups=6)))
    deep = F.batch_norm(deep, e[4].running_mean, e[4].running_var, e[4].weight, e[4].bias)
    wanted = model.norm(F.conv2d(maps, model.residual.weight) + deep)
    got = model(TOKENS, grid=(H, W)).fused
    torch.testing.assert_close(got, wanted.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_u3m_pools_and_convolves_the_join_of_all():
    model = U3MFusion(('a', 'b'), C, 6, squeeze=2).eval()
    x = layer(model.join, torch.cat(list(MAPS.values()), 1))
    h = model.pool_in(x)
    scales = 0
    for s, conv in zip((1, 2, 3, 6), model.pools):
        small = F.adaptive_avg_pool2d(h, (min(s, H), min(s, W)))
        small = small * conv.weight.view(1, C, 1, 1) + conv.bias.view(1, C, 1, 1)
        scales = scales + F.interpolate(small, (H, W), mode='bilinear')
    h = model.local_in(x)
    local = h
    for k, conv in zip((3, 5, 7), model.locals):
        local = local + F.conv2d(h, conv.weight, conv.bias, padding=k // 2, groups=C)
    both = x + model.pool_out(scales) + model.local_out(local)
    fused = F.gelu(layer(model.project, both))
    gate = torch.sigmoid(model.excite[2](torch.relu(model.excite[0](fused.mean((2, 3))))))
    wanted = fused * gate[..., None, None]
    got = model(TOKENS, grid=(H, W)).fused
    torch.testing.assert_close(got, wanted.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_u3m_privileges_no_modality():
    """Exchanging the modalities and their columns of the join changes nothing."""
    model = U3MFusion(('a', 'b'), C).eval()
    before = model(TOKENS, grid=(H, W)).fused
    with torch.no_grad():
        model.join.weight.copy_(model.join.weight.roll(C, dims=1))
    swapped = model({'a': TOKENS['b'], 'b': TOKENS['a']}, grid=(H, W)).fused
    torch.testing.assert_close(swapped, before)


def test_mcmult_reads_every_level_that_the_others_have_built():
    model = MCMulTFusion(('a', 'b'), C, depth=2, num_heads=2)
    a, b = TOKENS['a'][:, :4], TOKENS['b'][:, :3]
    marks = model.level_marks.weight
    first = [
        model.levels[0][0](a, b + marks[0], None), model.levels[0][1](b, a + marks[0], None),
    ]  # fmt: skip
    second = [
        model.levels[1][0](first[0], torch.cat([b + marks[0], first[1] + marks[1]], 1), None),
        model.levels[1][1](first[1], torch.cat([a + marks[0], first[0] + marks[1]], 1), None),
    ]
    wanted = model.norms[1](model.last[1](second[1], second[1], None))
    model.reduce.how = 'sequence'
    model.reduce.project = torch.nn.Linear(C, C)
    output = model({'a': a, 'b': b})
    torch.testing.assert_close(output.latents['b'], wanted)
    assert output.fused.shape == (B, 7, C)
    assert isinstance(model.levels[0][0], CrossBlock)


@pytest.mark.parametrize('kind', [CMXFusion, U3MFusion])
def test_maps_need_their_grid(kind):
    with pytest.raises(ValueError, match=r'works on maps and needs grid=\(height, width\)'):
        kind(('a', 'b'), C)(TOKENS)


def test_one_modality_is_nothing_to_exchange():
    for kind in (CMXFusion, MCMulTFusion):
        with pytest.raises(ValueError, match='needs two modalities'):
            kind(('a',), C)
        with pytest.raises(ValueError, match='num_heads must divide dim'):
            kind(('a', 'b'), C, num_heads=3)


def test_the_embedding_reduction_adds_a_depthwise_convolution_of_all():
    reduce = Reduction(2, C, 6, 'embed')
    maps = torch.cat(list(MAPS.values()), 1)
    e = reduce.embed
    inner = F.conv2d(maps, e[0].weight, e[0].bias)
    deep = F.conv2d(inner, e[1].weight, e[1].bias, padding=1, groups=6)
    wanted = layer(reduce.project, maps) + F.conv2d(F.gelu(deep), e[3].weight, e[3].bias)
    tokens = list(TOKENS.values())
    got, _ = reduce(tokens, grid=(H, W))
    torch.testing.assert_close(got, wanted.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)
    seen = torch.ones(B, H * W, dtype=torch.bool)
    seen[:, -1] = False
    changed = [x.clone() for x in tokens]
    for x in changed:
        x[:, -1] = 99.0
    a, b = (reduce(x, [seen, seen], (H, W))[0] for x in (tokens, changed))
    torch.testing.assert_close(a[:, :-1], b[:, :-1])
    with pytest.raises(ValueError, match="reduction='embed' works on maps and needs grid="):
        reduce(tokens)
