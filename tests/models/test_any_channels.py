"""Any modalities side by side: numbers of channels, backbones and sizes that differ."""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mango_mm.inferencers import SegmentationInferencer
from mango_mm.models import FusionNeck
from mango_mm.registry import MODELS

MIT = dict(
    type='mmseg.MixVisionTransformer', embed_dims=8, num_stages=2, num_layers=[1, 1],
    num_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], sr_ratios=[4, 2], out_indices=(0, 1),
    mlp_ratio=2,
)  # fmt: skip
RESNET = dict(
    type='mmseg.ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=2,
    strides=(1, 2), dilations=(1, 1), out_indices=(0, 1), norm_cfg=dict(type='BN'),
)  # fmt: skip
CONV = dict(type='mango_mm.ConvPyramid', channels=[16, 24])


def segmentor(sizes, fusion='MangoFusion', backbones=None, channels=(8, 16), **test):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    modalities = [
        dict(name=f'm{i}', channels=c, mean=[0.0] * c, std=[1.0] * c) for i, c in enumerate(sizes)
    ]
    options = dict(window=(5, 6), depth=1) if fusion == 'MangoFusion' else {}
    return MODELS.build(ConfigDict(
        type='mango_mm.MultimodalEncoderDecoder',
        data_preprocessor=dict(
            type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities
        ),
        backbone=dict(
            type='mango_mm.MultiStreamBackbone', modalities=modalities, backbone=dict(MIT),
            backbones=backbones,
        ),
        neck=dict(
            type='mango_mm.FusionNeck', modalities=modalities, in_channels=channels, stages=[1],
            fusion=dict(type=fusion, **options),
        ),
        decode_head=dict(
            type='mmseg.SegformerHead', in_channels=[8, 16], in_index=[0, 1], channels=8,
            num_classes=4, norm_cfg=dict(type='BN'),
        ),
        train_cfg=dict(), test_cfg=dict(mode='whole', **test),
    ))  # fmt: skip


def check(model, count):
    """A step that reaches every parameter, and a prediction, whole and by windows."""
    model.init_weights()
    samples = []
    names = list(model.data_preprocessor.channels)
    for lacks in (None, names[-1]):
        sample = SegDataSample(metainfo=dict(img_shape=(40, 48), ori_shape=(40, 48)))
        sample.set_metainfo(dict(present={m: m != lacks for m in names}))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, 40, 48)))
        samples.append(sample)
    images = [torch.randn(count, 40, 48) for _ in range(2)]
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    model.eval()
    with torch.no_grad():
        for test in (dict(mode='whole'), dict(mode='slide', crop_size=(32, 32), stride=(8, 16))):
            model.test_cfg.update(test)
            found = model.test_step(dict(inputs=images, data_samples=samples))
            assert found[0].pred_sem_seg.data.shape == (1, 40, 48)
            assert found[0].seg_logits.data.isfinite().all()
    model.test_cfg.mode = 'whole'
    results = infer_with(model, {m: np.random.rand(40, 48, c).astype(np.float32)
                                 for m, c in model.data_preprocessor.channels.items()})  # fmt: skip
    assert not np.array_equal(*(r['pictures'][names[-1]] for r in results))


def infer_with(model, inputs):
    """What the inferencer makes of arrays, and of the same without the last modality."""
    modalities = [dict(name=m, channels=c) for m, c in model.data_preprocessor.channels.items()]
    config = ConfigDict(test_dataloader=dict(dataset=dict(
        type='mango_mm.MultimodalFolderDataset', metainfo=dict(classes=list('abcd')),
        pipeline=[
            dict(type='mango_mm.LoadModalities', modalities=modalities),
            dict(type='mango_mm.StackModalities', modalities=modalities),
            dict(type='mmseg.PackSegInputs'),
        ],
    )))  # fmt: skip
    infer = SegmentationInferencer(config, model)
    results = [infer(inputs), infer({**inputs, list(inputs)[-1]: None})]
    assert [r['label'].shape for r in results] == [next(iter(inputs.values())).shape[:2]] * 2
    return results


@pytest.mark.parametrize('fusion', ['MangoFusion', 'ConcatFusion', 'CrossAttentionFusion'])
@pytest.mark.parametrize('sizes', [(3, 1), (3, 2), (3, 5), (12, 2), (3, 1, 2, 1)], ids=str)
def test_any_numbers_of_channels(sizes, fusion):
    model = segmentor(sizes, fusion)
    check(model, sum(sizes))
    assert list(model.backbone.reads.values()) == [3 if c == 1 else c for c in sizes]


@pytest.mark.parametrize('fusion', ['MangoFusion', 'ConcatFusion'])
def test_a_backbone_per_modality(fusion):
    """Other layers, widths and sizes of maps, which the neck brings to those of the first."""
    channels = [dict(name='m0', channels=[8, 16]), dict(name='m1', channels=[8, 16]),
                dict(name='m2', channels=[16, 24])]  # fmt: skip
    model = segmentor(
        (3, 2, 1), fusion, backbones=[dict(RESNET, name='m1'), dict(CONV, name='m2')],
        channels=channels,
    )  # fmt: skip
    check(model, 6)
    streams = model.backbone.streams
    assert [type(s).__name__ for s in streams.values()] == [
        'MixVisionTransformer', 'ResNet', 'ConvPyramid',
    ]  # fmt: skip
    assert set(model.neck.enter[1]) == {'m2'}
    images = torch.randn(1, 6, 40, 48)
    pyramids, _ = model.backbone.extract(images)
    read, *_ = model.merge(pyramids)
    assert [x.shape[1:] for x in read] == [x.shape[1:] for x in pyramids['m0']]


def test_what_does_not_fit_together_is_named():
    init_default_scope('mmseg')
    two = [dict(name='a', channels=3), dict(name='b', channels=5)]

    def build(**options):
        return MODELS.build(dict(
            type='mango_mm.MultiStreamBackbone', modalities=two, backbone=dict(MIT), **options
        ))  # fmt: skip

    with pytest.raises(ValueError, match="'b' must have 1 channel or the 3 .* streams share"):
        build(sharing='shared')
    with pytest.raises(ValueError, match=r"backbones must be of some of \['a', 'b'\]"):
        build(backbones=[dict(RESNET, name='c')])
    with pytest.raises(ValueError, match=r'in_channels must have as many stages for each of'):
        FusionNeck(two, [dict(name='a', channels=[8])], fusion=dict(type='ConcatFusion'))
