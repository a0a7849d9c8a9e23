"""Fusion inside the blocks of stock backbones, and heads for every modality."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from rooms import RGBD
from torch import nn

from mango_mm.apis import load_config
from mango_mm.fusion import BlockFusion
from mango_mm.models.backbones import BlockFusionBackbone, MultiStreamBackbone
from mango_mm.models.norms import PrivateNorm
from mango_mm.registry import MODELS

MIT = dict(
    type='mmseg.MixVisionTransformer', embed_dims=8, num_stages=2, num_layers=[2, 1],
    num_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], sr_ratios=[2, 1], out_indices=(0, 1),
    mlp_ratio=2,
)  # fmt: skip
BLOCKS = r'layers\.(\d+)\.1\.\d+'
CONFIGS = {
    name: f'configs/{name}/{name}-blocks_small_1xb8-600it_mini-rooms-72x96.py'
    for name in ('tokenfusion', 'geminifusion', 'cen')
}


class Untouched(BlockFusion):
    """Exchanges nothing."""

    def forward(self, features, *, entered=None, scales=None, masks=None):
        self.seen = entered
        return list(features), {'none': features[0].new_ones(())}


def blocks(fusion, modalities=None, **options):
    init_default_scope('mmseg')
    modalities = modalities or dict(rgb=3, depth=1)
    given = dict(blocks=BLOCKS, read='norm1', write='attn.proj_drop', backbone=MIT, **options)
    return BlockFusionBackbone(modalities=modalities, fusion=dict(fusion), **given).eval()


def private_weights(model):
    """The weights of a block-fusion backbone, for one with a stream per modality."""
    stream = model.streams['rgb']
    weights = {}
    for i, name in enumerate(model.use):
        for key, value in stream.state_dict().items():
            if '.norms.' not in key:
                weights[f'streams.{name}.{key}'] = value
            elif f'.norms.{i}.' in key:
                weights[f'streams.{name}.{key.replace(f".norms.{i}", "")}'] = value
    return weights


def shake(model):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))


def test_without_an_exchange_it_is_streams_that_share_all_but_norms():
    model = blocks(dict(type=Untouched))
    shake(model)
    apart = MultiStreamBackbone(MIT, dict(rgb=3, depth=1), sharing='shared_but_norms').eval()
    apart.load_state_dict(private_weights(model))
    x = torch.randn(2, 4, 32, 40)
    got, losses = model.extract(x)
    for name, maps in apart(x).items():
        for a, b in zip(got[name], maps):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert losses['loss_none'].item() == 3  # once per block
    assert list(model.fusions) == ['0', '1']  # one per stage


def run_mit_by_hand(model, x, exchange):
    """The first stage of a MiT for two modalities, written out, with an exchange per block."""
    stream = model.streams['rgb']
    embed, stage, last = stream.layers[0]
    parts = [x[:, :3], x[:, 3:].repeat(1, 3, 1, 1)]

    def each(norm, tokens):
        return [layer(t) for layer, t in zip(norm.norms, tokens)]

    tokens = [embed.projection(p) for p in parts]
    size = tokens[0].shape[-2:]
    tokens = each(embed.norm, [t.flatten(2).transpose(1, 2) for t in tokens])
    for block in stage:
        normed = each(block.norm1, tokens)
        short = [
            block.attn.sr(n.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2)
            for n in normed
        ]
        short = each(block.attn.norm, short)
        attended = [
            block.attn.attn(*(t.transpose(0, 1) for t in (n, s, s)))[0].transpose(0, 1)
            for n, s in zip(normed, short)
        ]
        attended = exchange(model.fusions['0'], attended, tokens)
        tokens = [t + a for t, a in zip(tokens, attended)]
        tokens = [
            t + block.ffn.layers(n.transpose(1, 2).unflatten(2, size)).flatten(2).transpose(1, 2)
            for t, n in zip(tokens, each(block.norm2, tokens))
        ]
    return [t.transpose(1, 2).unflatten(2, size) for t in each(last, tokens)]


def swap_low_scores(fusion, attended, entered):
    scores = [torch.softmax(layer(n), -1)[..., 0] for layer, n in zip(fusion.scorers, entered)]
    swapped = [a.clone() for a in attended]
    for m, k in ((0, 1), (1, 0)):
        for b in range(attended[0].shape[0]):
            for n in range(attended[0].shape[1]):
                source = k if scores[m][b, n] < fusion.threshold else m
                swapped[m][b, n] = attended[source][b, n] * scores[source][b, n]
    return swapped


def test_tokenfusion_exchanges_inside_every_block_of_a_stock_mit():
    model = blocks(dict(type='TokenExchange', threshold=0.5))
    shake(model)
    x = torch.randn(2, 4, 24, 32)
    with torch.no_grad():
        got, losses = model.extract(x)
        wanted = run_mit_by_hand(model, x, swap_low_scores)
        kept = run_mit_by_hand(model, x, lambda fusion, attended, entered: attended)
    for i, name in enumerate(('rgb', 'depth')):
        torch.testing.assert_close(got[name][0], wanted[i], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(got[name][0], kept[i], atol=1e-3)
    tokens = 2 * 6 * 8 + 2 * 6 * 8 + 2 * 3 * 4  # of a batch of two in three blocks
    assert 0.02 * 1e-4 * 2 * tokens < losses['loss_token_scores'] < 1e-4 * 2 * tokens


def test_cen_exchanges_channels_after_the_batch_norms_of_a_resnet():
    init_default_scope('mmseg')
    resnet = dict(type='mmseg.ResNet', depth=18, base_channels=8, stem_channels=8,
                  num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))  # fmt: skip
    model = BlockFusionBackbone(
        resnet, dict(rgb=3, depth=1), dict(type='ChannelExchange', threshold=0.1),
        blocks=r'layer\d+\.\d+\.bn[12]',
    ).eval()  # fmt: skip
    norm = model.streams['rgb'].layer1[0].bn1
    assert isinstance(norm, PrivateNorm)
    seen = []
    norm.norms[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    after = []
    model.streams['rgb'].layer1[0].relu.register_forward_hook(
        lambda module, inputs, output: after.append(inputs[0].clone())
    )
    with torch.no_grad():
        norm.norms[0].weight[1] = 0.01  # of its own share, the first four of eight channels
        norm.norms[0].weight[6] = 0.01  # not of it; exchanged all the same
    x = torch.randn(2, 4, 32, 32)
    model.streams['rgb'].layer1[0].relu.inplace = False
    _, losses = model.extract(x)
    rgb = after[0][:2]
    torch.testing.assert_close(rgb[:, 1], seen[0][:, 1])
    torch.testing.assert_close(rgb[:, 6], seen[0][:, 6])
    assert not torch.allclose(rgb[:, 5], seen[0][:, 5])
    # Four norms of two modalities, each with half of eight channels at 1, one of them at .01; the
    # release adds it once for each of its three outputs.
    penalty = 3 * 2e-4 * (4 * 8 - 0.99)
    torch.testing.assert_close(losses['loss_channel_scales'], torch.tensor(penalty))


def test_weights_of_the_plain_backbone_fit_every_private_norm(tmp_path):
    init_default_scope('mmseg')
    plain = MODELS.build(dict(MIT))
    shake(plain)
    torch.save(plain.state_dict(), tmp_path / 'mit.pth')
    pretrained = dict(MIT, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'mit.pth')))
    model = BlockFusionBackbone(
        pretrained, dict(rgb=3, depth=1), dict(type=Untouched), BLOCKS, 'norm1', 'attn'
    ).eval()
    model.init_weights()
    plain.eval()
    x = torch.randn(1, 4, 32, 32)
    got = model(x)
    for name, part in (('rgb', x[:, :3]), ('depth', x[:, 3:].repeat(1, 3, 1, 1))):
        for a, b in zip(got[name], plain(part)):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('fusion', ['TokenExchange', 'PixelwiseAttention', 'ChannelExchange'])
def test_three_modalities_train_and_every_parameter_takes_part(fusion):
    options = dict(num_heads=2) if fusion == 'PixelwiseAttention' else {}
    model = blocks(dict(type=fusion, **options), dict(rgb=3, depth=1, thermal=1)).train()
    features, losses = model.extract(torch.randn(2, 5, 24, 24))
    assert list(features) == ['rgb', 'depth', 'thermal']
    total = sum(maps[-1].square().sum() + maps[0].sum() for maps in features.values())
    (total + sum(losses.values())).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('name', sorted(CONFIGS))
def test_shipped_configs_learn_both_heads_and_the_ensemble(name):
    config = load_config(CONFIGS[name])
    config.model.decode_head.head.norm_cfg = dict(type='BN')
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    model.init_weights()
    losses = model(torch.randn(2, 4, 72, 96), samples(2), mode='loss')
    wanted = {f'decode.{part}.loss_ce' for part in ('rgb', 'depth', 'ensemble')}
    assert wanted <= set(losses)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    copied = copy.deepcopy(model).eval()  # as an EMA hook does
    out = copied(torch.randn(2, 4, 72, 96), samples(2), mode='predict')
    assert out[0].pred_sem_seg.data.shape == (1, 72, 96)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(blocks=r'stage\d+'), 'matches no layer of MixVisionTransformer'),
        (dict(read='norm9'), "read='norm9': block 'layers.0.1.0' has no such layer"),
        (dict(read='ffn'), 'read must name a normalisation layer'),
        (dict(write='attention'), "write='attention': block"),
        (dict(backbone=dict(MIT, with_cp=True)), 'needs with_cp=False'),
        (dict(modalities=dict(rgb=3)), 'needs two modalities or more'),
    ],
)
def test_what_does_not_fit_the_backbone_is_named(options, message):
    init_default_scope('mmseg')
    given = dict(backbone=MIT, modalities=RGBD, fusion=dict(type=Untouched),
                 blocks=BLOCKS, read='norm1', write='attn')  # fmt: skip
    with pytest.raises(ValueError, match=message):
        BlockFusionBackbone(**{**given, **options})


# Heads for every modality.

HEAD = dict(type='mmseg.FCNHead', in_channels=4, channels=4, num_convs=1, num_classes=3,
            norm_cfg=dict(type='BN'), align_corners=False)  # fmt: skip


def samples(count, present=None):
    result = []
    for i in range(count):
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 72, 96)))
        sample.set_metainfo(dict(img_shape=(72, 96), ori_shape=(72, 96)))
        if present is not None:
            sample.set_metainfo(dict(present=present[i]))
        result.append(sample)
    return result


def ensemble(combine, shared=False, modalities=('rgb', 'depth')):
    init_default_scope('mmseg')
    config = dict(type='mango_mm.EnsembleHead', head=dict(HEAD), modalities=list(modalities),
                  combine=combine, shared=shared)  # fmt: skip
    return MODELS.build(config).eval()


def pyramids(*names):
    return {name: (torch.randn(2, 4, 9, 12),) for name in names}


def test_mean_entropy_and_learned_combine_as_their_formulas_say():
    features = pyramids('rgb', 'depth')
    for combine in ('mean', 'entropy', 'learned'):
        head = ensemble(combine)
        a, b = (head.heads[m](features[m]) for m in ('rgb', 'depth'))
        if combine == 'mean':
            wanted = (a + b) / 2
        elif combine == 'learned':
            with torch.no_grad():
                head.alpha.copy_(torch.tensor([0.3, -0.5]))
            share = torch.tensor([0.3, -0.5]).softmax(0)
            wanted = share[0] * a + share[1] * b
        else:
            h = [torch.distributions.Categorical(logits=x.movedim(1, -1)).entropy() for x in (a, b)]
            most = torch.maximum(*h)
            w = [torch.exp(most - x)[:, None] for x in h]  # MLA's form of the weights
            wanted = (w[0] * a + w[1] * b) / (w[0] + w[1])
        torch.testing.assert_close(head(features), wanted)


def test_only_alpha_learns_from_the_ensembles_loss():
    head = ensemble('learned').train()
    losses = head.loss(pyramids('rgb', 'depth'), samples(2), None)
    grads = torch.autograd.grad(
        losses['ensemble.loss_ce'], list(head.parameters()), allow_unused=True
    )
    assert [name for (name, _), g in zip(head.named_parameters(), grads) if g is not None] == [
        'alpha'
    ]


def test_shared_heads_share_all_but_norms():
    head = ensemble('mean', shared=True)
    first, second = head.heads['rgb'], head.heads['depth']
    assert first.conv_seg.weight is second.conv_seg.weight
    norms = [m for m in first.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not {id(p) for n in norms for p in n.parameters()} & {id(p) for p in second.parameters()}


def test_a_sample_without_a_modality_is_decoded_by_the_heads_it_has():
    head = ensemble('fused')
    features = pyramids('rgb', 'depth', 'fused')
    present = [dict(rgb=True, depth=True), dict(rgb=True, depth=False)]
    metas = [s.metainfo for s in samples(2, present)]
    got = head.predict(features, metas, None)
    wanted = torch.stack([
        head.heads['fused'](features['fused'])[0], head.heads['rgb'](features['rgb'])[1]
    ])  # fmt: skip
    wanted = nn.functional.interpolate(wanted, (72, 96), mode='bilinear')
    torch.testing.assert_close(got, wanted)


def test_losses_ignore_what_a_sample_lacks():
    head = ensemble('fused').eval()
    present = [dict(rgb=True, depth=True), dict(rgb=True, depth=False)]
    features, data = pyramids('rgb', 'depth', 'fused'), samples(2, present)
    before = head.loss(features, data, None)
    for name in ('depth', 'fused'):
        features[name][0][1] = 99.0
    after = head.loss(features, data, None)
    for key in ('rgb', 'depth', 'fused'):
        torch.testing.assert_close(before[f'{key}.loss_ce'], after[f'{key}.loss_ce'])
    with pytest.raises(ValueError, match="must have one of .'rgb', 'depth'.; one has none"):
        head.loss(features, samples(2, [dict(rgb=False, depth=False)] * 2), None)


def test_a_head_per_modality_needs_a_pyramid_per_modality():
    with pytest.raises(TypeError, match='one pyramid for each of'):
        ensemble('mean')(pyramids('rgb')['rgb'])
    with pytest.raises(KeyError, match='the features lack'):
        ensemble('fused')(pyramids('rgb', 'depth'))
    with pytest.raises(ValueError, match='combine must be one of'):
        ensemble('product')
