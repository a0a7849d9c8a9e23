"""MultiStreamBackbone: one stream per modality, with any host backbone."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mango_mm.models import MultiStreamBackbone
from mango_mm.registry import MODELS

MIT = dict(
    type='mmseg.MixVisionTransformer',
    embed_dims=8,
    num_stages=2,
    num_layers=[1, 1],
    num_heads=[1, 2],
    patch_sizes=[7, 3],
    strides=[4, 2],
    sr_ratios=[2, 1],
    out_indices=(0, 1),
)
MODALITIES = dict(rgb=3, depth=dict(channels=1))


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def build(**options):
    return MultiStreamBackbone(MIT, MODALITIES, **options).eval()


def test_each_modality_gets_a_pyramid():
    features = build()(torch.randn(2, 4, 32, 48))
    assert list(features) == ['rgb', 'depth']
    assert [x.shape for x in features['depth']] == [(2, 8, 8, 12), (2, 16, 4, 6)]


def test_streams_see_their_own_channels_only():
    model, x = build(), torch.randn(1, 4, 32, 32)
    before = model(x)
    x[:, 3] += 1
    after = model(x)
    torch.testing.assert_close(after['rgb'], before['rgb'])
    assert not torch.allclose(after['depth'][0], before['depth'][0])


@pytest.mark.parametrize('name', ['rgb', 'depth'])
def test_a_single_modality_returns_what_a_head_expects(name):
    maps = build(use=[name])(torch.randn(1, 4, 32, 32))
    assert isinstance(maps, tuple)
    assert [x.shape[1] for x in maps] == [8, 16]


def test_shared_weights_treat_equal_inputs_alike():
    model = build(sharing='shared')
    x = torch.randn(1, 1, 32, 32).expand(-1, 4, -1, -1)
    features = model(x)
    torch.testing.assert_close(features['rgb'], features['depth'])
    separate = sum(p.numel() for p in build().parameters())
    assert 2 * sum(p.numel() for p in model.parameters()) == separate


def test_shared_but_norms_have_own_norms_only():
    model = build(sharing='shared_but_norms')
    model.init_weights()
    rgb, depth = model.streams['rgb'], model.streams['depth']
    shared = {id(p) for p in rgb.parameters()} & {id(p) for p in depth.parameters()}
    own = [n for n, p in depth.named_parameters() if id(p) not in shared]
    assert own
    assert all('norm' in n or n.startswith('layers.') and '.2.' in n for n in own), own
    norms = [m for m in depth.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(own) == 2 * len(norms)


def test_pretrained_weights_enter_every_stream(tmp_path):
    donor = build(use=['rgb']).streams['rgb']
    torch.save(donor.state_dict(), tmp_path / 'rgb.pth')
    pretrained = dict(MIT, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'rgb.pth')))
    model = MultiStreamBackbone(pretrained, MODALITIES)
    model.init_weights()
    for stream in model.streams.values():
        for name, value in stream.state_dict().items():
            torch.testing.assert_close(value, donor.state_dict()[name])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(sharing='half'), "sharing must be one of .*got 'half'"),
        (dict(use=['hha']), r"use must name some of \['rgb', 'depth'\]; got \('hha',\)"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match='4 channels in all; got an input of 3'):
        build()(torch.randn(1, 3, 32, 32))
    with pytest.raises(ValueError, match="'hyper' must have 1 channel .* share weights; got 5"):
        MultiStreamBackbone(MIT, dict(hyper=5), sharing='shared')


def test_without_an_encoder_a_map_holds_every_pixel():
    backbone = MODELS.build(dict(type='mango_mm.PatchPixels', patch_size=4))
    x = torch.randn(2, 3, 10, 12)
    (got,) = backbone(x)
    assert got.shape == (2, 48, 3, 3)
    assert backbone.out_channels == 48
    patch = got[1, :, 2, 1].view(3, 4, 4)
    torch.testing.assert_close(patch[:, :2], x[1, :, 8:, 4:8])
    assert not patch[:, 2:].any()
    assert list(backbone.parameters()) == []
    with pytest.raises(ValueError, match='patch_size must be positive; got 0'):
        MODELS.build(dict(type='mango_mm.PatchPixels', patch_size=0))


def test_a_frozen_backbone_is_not_trained_and_takes_its_own_features():
    model = build(frozen=True).train()
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(m.training for m in model.modules())
    images = torch.randn(2, 4, 32, 48, requires_grad=True)
    features, losses = model.extract(images)
    assert losses == {}
    assert not any(x.requires_grad for maps in features.values() for x in maps)
    again, _ = model.extract(features)
    assert all(torch.equal(a, b) for m in features for a, b in zip(again[m], features[m]))
    assert torch.equal(model.encode_one(features, 'depth')[1], features['depth'][1])
    with pytest.raises(ValueError, match='set model.backbone.frozen=True'):
        build().extract(features)
    with pytest.raises(ValueError, match=r"the cache has features of \['rgb'\]; .* reads 'depth'"):
        model.extract({'rgb': features['rgb']})
