"""Any part of the host around a fusion: backbones, heads, cascades, lists of necks.

What the host cannot do, with its reason:

- ``CCHead`` and ``PSAHead`` need operators that mmcv has for CUDA alone.
- ``SETRUPHead`` and ``SETRMLAHead`` normalise with (B, C, H, W) of a fixed grid in mind and take no
  windows of another size; ``SegmenterMaskTransformerHead`` does.
- ``Mask2FormerHead`` needs mmdet; its whole mode works, its slide mode fails in mmseg alone too.
- ``BEiT`` takes images and windows of its ``img_size`` alone.
- ``EncHead(use_se_loss=False)`` fails in mmseg's own loss.
- ``ICNet``, ``BiSeNet``, ``DDRNet``, ``PIDNet`` are whole networks whose maps in training are not
  those of inference; they are no backbones for another's neck.
"""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from test_any_channels import infer_with

from mango_mm.fusion import ConcatFusion
from mango_mm.hosts import has_host
from mango_mm.registry import MODELS

BN = dict(type='BN', requires_grad=True)
SIZE = (64, 96)

# Config of a backbone, and the channels of the stages that are fused.
BACKBONES = {
    'ResNetV1c': (
        dict(type='mmseg.ResNetV1c', depth=18, base_channels=8, stem_channels=8, norm_cfg=BN),
        [8, 16, 32, 64],
    ),
    'ResNeXt': (
        dict(type='mmseg.ResNeXt', depth=50, groups=4, base_width=2, base_channels=8,
             stem_channels=8, norm_cfg=BN),
        [32, 64, 128, 256],
    ),
    'ResNeSt': (
        dict(type='mmseg.ResNeSt', depth=50, base_channels=8, stem_channels=8, norm_cfg=BN),
        [32, 64, 128, 256],
    ),
    'MobileNetV2': (
        dict(type='mmseg.MobileNetV2', widen_factor=0.25, strides=(1, 2, 2, 2, 1, 2, 1),
             dilations=(1,) * 7, out_indices=(1, 2, 4, 6), norm_cfg=BN),
        [8, 8, 24, 80],
    ),
    'MobileNetV3': (
        dict(type='mmseg.MobileNetV3', arch='small', out_indices=(0, 1, 3), norm_cfg=BN),
        [16, 16, 24],
    ),
    'HRNet': (
        dict(type='mmseg.HRNet', norm_cfg=BN, extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,),
                        num_channels=(8,)),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1),
                        num_channels=(8, 16)),
            stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1, 1, 1),
                        num_channels=(8, 16, 32)),
            stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1, 1, 1, 1),
                        num_channels=(8, 16, 32, 64)),
        )),
        [8, 16, 32, 64],
    ),
    'MixVisionTransformer': (
        dict(type='mmseg.MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1],
             num_heads=[1, 1, 2, 2]),
        [8, 8, 16, 16],
    ),
    'SwinTransformer': (
        dict(type='mmseg.SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1),
             num_heads=(1, 1, 2, 2), window_size=4, pretrain_img_size=64),
        [8, 16, 32, 64],
    ),
    'PCPVT': (
        dict(type='mmseg.PCPVT', embed_dims=[8, 8, 16, 16], num_heads=[1, 1, 2, 2],
             depths=[1, 1, 1, 1], sr_ratios=[8, 4, 2, 1], norm_after_stage=False),
        [8, 8, 16, 16],
    ),
    'MSCAN': (
        dict(type='mmseg.MSCAN', embed_dims=[8, 8, 16, 16], depths=[1, 1, 1, 1], norm_cfg=BN),
        [8, 8, 16, 16],
    ),
    'VisionTransformer': (
        dict(type='mmseg.VisionTransformer', img_size=SIZE, patch_size=16, embed_dims=16,
             num_layers=4, num_heads=2, out_indices=(0, 1, 2, 3)),
        [16, 16, 16, 16],
    ),
    'ViT with class token': (
        dict(type='mmseg.VisionTransformer', img_size=SIZE, patch_size=16, embed_dims=16,
             num_layers=2, num_heads=2, out_indices=(0, 1), output_cls_token=True),
        [16, 16],
    ),
    'BEiT': (
        dict(type='mmseg.BEiT', img_size=SIZE, patch_size=16, embed_dims=16, num_layers=2,
             num_heads=2, out_indices=(0, 1), qv_bias=True, init_values=0.1),
        [16, 16],
    ),
    'TIMMBackbone': (
        dict(type='mmseg.TIMMBackbone', model_name='mobilenetv3_small_050', features_only=True,
             out_indices=(1, 2, 3), pretrained=False),
        [8, 16, 24],
    ),
}  # fmt: skip

SEG = dict(type='mmseg.SegformerHead', channels=8, num_classes=4, norm_cfg=BN)
ONE = dict(in_channels=64, in_index=3, channels=16, num_classes=4, norm_cfg=BN)
ALL = dict(in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3], channels=16, num_classes=4,
           norm_cfg=BN)  # fmt: skip
RESNET = BACKBONES['ResNetV1c'][0]
HEADS = {
    'FCNHead': dict(num_convs=1, **ONE),
    'PSPHead': dict(pool_scales=(1, 2), **ONE),
    'ASPPHead': dict(dilations=(1, 6), **ONE),
    'DepthwiseSeparableASPPHead': dict(dilations=(1, 6), c1_in_channels=8, c1_channels=4, **ONE),
    'UPerHead': dict(pool_scales=(1, 2), **ALL),
    'SegformerHead': dict(ALL),
    'FPNHead': dict(ALL, in_channels=[16] * 4, feature_strides=[4, 8, 16, 32]),
    'LightHamHead': dict(ALL, ham_channels=16, ham_kwargs=dict(MD_R=4),
                         norm_cfg=dict(type='GN', num_groups=4)),
    'DAHead': dict(pam_channels=8, **ONE),
    'NLHead': dict(reduction=2, **ONE),
    'GCHead': dict(ratio=0.25, **ONE),
    'ISAHead': dict(isa_channels=8, down_factor=(2, 2), **ONE),
    'ANNHead': dict(ONE, in_channels=[32, 64], in_index=[2, 3], project_channels=8),
    'EMAHead': dict(ema_channels=16, num_bases=4, num_stages=2, momentum=0.1, **ONE),
    'EncHead': dict(ALL, num_codes=4, add_lateral=False),
    'DNLHead': dict(reduction=2, **ONE),
    'APCHead': dict(pool_scales=(1, 2), **ONE),
    'DMHead': dict(filter_sizes=(1, 3), **ONE),
    'SegmenterMaskTransformerHead': dict(
        in_channels=64, in_index=3, channels=16, num_classes=4, num_layers=1, num_heads=2,
        embed_dims=16, dropout_ratio=0.0,
    ),
    'KNet': dict(type='mmseg.IterativeDecodeHead', num_stages=1, kernel_generate_head=dict(
        type='mmseg.FCNHead', num_convs=1, **ONE), kernel_update_head=[dict(
            type='mmseg.KernelUpdateHead', num_classes=4, num_ffn_fcs=2, num_heads=2,
            feedforward_channels=16, in_channels=16, out_channels=16,
            kernel_updator_cfg=dict(
                type='mmseg.KernelUpdator', in_channels=16, feat_channels=16, out_channels=16,
                act_cfg=dict(type='ReLU'), norm_cfg=dict(type='LN')))]),
}  # fmt: skip
AUXILIARY = dict(type='mmseg.FCNHead', num_convs=1, **ONE)
OCR = [
    dict(type='mmseg.FCNHead', num_convs=1, **ONE),
    dict(type='mmseg.OCRHead', ocr_channels=8, **ONE),
]
POINT = [
    dict(type='mmseg.FPNHead', feature_strides=[4, 8, 16, 32], **dict(ALL, in_channels=[16] * 4)),
    dict(type='mmseg.PointHead', in_channels=[16], in_index=[0], channels=16, num_fcs=1,
         coarse_pred_each_layer=True, dropout_ratio=-1, num_classes=4),
]  # fmt: skip
POINT_TRAIN = dict(num_points=32, oversample_ratio=3, importance_sample_ratio=0.75)
POINT_TEST = dict(subdivision_steps=1, subdivision_num_points=64, scale_factor=2)
FPN = dict(type='mmseg.FPN', in_channels=[8, 16, 32, 64], out_channels=16, num_outs=4)


def segmentor(backbone, channels, head, *, necks=(), fusion='MangoFusion', **others):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    modalities = [
        dict(name=name, channels=c, mean=[0.0] * c, std=[1.0] * c)
        for name, c in (('rgb', 3), ('thermal', 1))
    ]
    options = dict(window=4, depth=1) if fusion == 'MangoFusion' else {}
    neck = dict(
        type='mango_mm.FusionNeck', modalities=modalities, in_channels=channels,
        stages=[len(channels) - 1], fusion=dict(type=fusion, **options),
    )  # fmt: skip
    given = dict(
        type='mango_mm.MultimodalEncoderDecoder',
        data_preprocessor=dict(
            type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities
        ),
        backbone=dict(
            type='mango_mm.MultiStreamBackbone', modalities=modalities, backbone=dict(backbone)
        ),
        neck=[neck, *necks] if necks else neck,
        decode_head=head, train_cfg=dict(), test_cfg=dict(mode='whole'),
    )  # fmt: skip
    return MODELS.build(ConfigDict({**given, **others}))


def batch(lacking=True):
    samples = []
    for index in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=SIZE, ori_shape=SIZE, img_path=f'{index}'))
        if lacking and index:
            sample.set_metainfo(dict(present=dict(rgb=True, thermal=False)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, *SIZE)))
        samples.append(sample)
    return dict(inputs=[torch.randn(4, *SIZE) for _ in samples], data_samples=samples)


def check(model, window=(64, 64)):
    """A step, of which one sample lacks a modality, then predictions, whole and by windows."""
    model.init_weights()
    data = model.data_preprocessor(batch(), True)
    total, logged = model.parse_losses(model(**data, mode='loss'))
    assert total.isfinite()
    assert 'nll_per_dim' in logged
    total.backward()
    flow = [p for n, p in model.named_parameters() if n.startswith('neck.fusions')]
    assert any(p.grad is not None and p.grad.any() for p in flow)
    model.eval()
    with torch.no_grad():
        for test in (dict(mode='whole'), dict(mode='slide', crop_size=window, stride=(64, 32))):
            model.test_cfg.update(test)
            for sample in model.test_step(batch()):
                assert sample.pred_sem_seg.data.shape == (1, *SIZE)
                assert sample.seg_logits.data.isfinite().all()
                assert float(sample.nll_per_dim) == float(sample.nll_per_dim)
    model.test_cfg.mode = 'whole'
    rgb = np.random.randint(0, 256, (*SIZE, 3), dtype=np.uint8)
    results = infer_with(model, {'rgb': rgb, 'thermal': np.random.rand(*SIZE)})
    assert results[0]['nll_per_dim'] != results[1]['nll_per_dim']


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones(name):
    backbone, channels = BACKBONES[name]
    head = dict(SEG, in_channels=channels, in_index=list(range(len(channels))))
    # BEiT's biases of relative positions are of one size of images.
    check(segmentor(backbone, channels, head), SIZE if name == 'BEiT' else (64, 64))


@pytest.mark.parametrize('name', HEADS)
def test_heads(name):
    head = dict(type=f'mmseg.{name}') | HEADS[name]
    necks = [FPN] if name == 'FPNHead' else []
    check(segmentor(RESNET, [8, 16, 32, 64], head, necks=necks))


@pytest.mark.parametrize(
    ('heads', 'necks', 'train', 'test'),
    [(OCR, [], {}, {}), (POINT, [FPN], POINT_TRAIN, POINT_TEST)],
    ids=['OCR', 'PointRend'],
)
def test_cascades_have_a_likelihood_and_know_what_is_absent(heads, necks, train, test):
    model = segmentor(
        RESNET, [8, 16, 32, 64], heads, necks=necks, num_stages=2,
        type='mango_mm.MultimodalCascadeEncoderDecoder', train_cfg=train,
        test_cfg=dict(mode='whole', **test), auxiliary_head=None if necks else AUXILIARY,
    )  # fmt: skip
    check(model)
    model.test_cfg.mode = 'whole'
    whole, lacking = batch(lacking=False), batch()
    lacking['inputs'] = [x.clone() for x in whole['inputs']]
    lacking['inputs'][1][3] = float('nan')
    with torch.no_grad():
        a, b = ([s.seg_logits.data for s in model.test_step(dict(x))] for x in (whole, lacking))
    torch.testing.assert_close(a[0], b[0])
    assert (a[1] - b[1]).abs().max() > 1e-4
    with pytest.raises(ValueError, match=r'decode_head must be a list of 3 heads .* got 2'):
        segmentor(RESNET, [8, 16, 32, 64], heads, num_stages=3,
                  type='mango_mm.MultimodalCascadeEncoderDecoder')  # fmt: skip


@pytest.mark.parametrize(
    'necks',
    [
        [FPN],
        [dict(type='mmseg.MultiLevelNeck', in_channels=[8, 16, 32, 64], out_channels=16)],
        [FPN, dict(type='mmseg.MultiLevelNeck', in_channels=[16] * 4, out_channels=16)],
    ],
    ids=['FPN', 'MultiLevelNeck', 'both'],
)
def test_lists_of_necks(necks):
    head = dict(type='mmseg.UPerHead', pool_scales=(1, 2), **dict(ALL, in_channels=[16] * 4))
    check(segmentor(RESNET, [8, 16, 32, 64], head, necks=necks))


def test_vit_behind_a_pyramid_for_upernet():
    backbone, channels = BACKBONES['VisionTransformer']
    neck = dict(
        type='mmseg.MultiLevelNeck', in_channels=channels, out_channels=16, scales=[4, 2, 1, 0.5]
    )
    head = dict(type='mmseg.UPerHead', pool_scales=(1, 2), **dict(ALL, in_channels=[16] * 4))
    check(segmentor(backbone, channels, head, necks=[neck]))


def test_a_fusion_comes_first_and_a_list_of_one_is_the_one():
    head = dict(SEG, in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3])
    one = segmentor(RESNET, [8, 16, 32, 64], head)
    listed = segmentor(RESNET, [8, 16, 32, 64], head, necks=[dict(type='mmseg.FPN', **{
        k: v for k, v in FPN.items() if k != 'type'})])  # fmt: skip
    assert set(one.state_dict()) <= set(listed.state_dict())
    with pytest.raises(ValueError, match='a FusionNeck must be the first neck'):
        segmentor(RESNET, [8, 16, 32, 64], head, neck=[FPN, dict(
            type='mango_mm.FusionNeck', modalities=['rgb', 'thermal'], in_channels=[16] * 4,
            fusion=dict(type='ConcatFusion'))])  # fmt: skip


def test_the_class_token_is_left_out_or_added():
    init_default_scope('mmseg')
    backbone, _ = BACKBONES['ViT with class token']
    modalities = [dict(name='rgb', channels=3), dict(name='thermal', channels=1)]
    images = torch.randn(2, 4, *SIZE)

    def features(readout):
        torch.manual_seed(0)
        built = MODELS.build(dict(
            type='mango_mm.MultiStreamBackbone', modalities=modalities, backbone=dict(backbone),
            readout=readout,
        )).eval()  # fmt: skip
        return built, built(images)

    built, ignored = features('ignore')
    _, added = features('add')
    expected = built.streams['rgb'](images[:, :3])
    for stage, (maps, token) in enumerate(expected):
        torch.testing.assert_close(ignored['rgb'][stage], maps)
        torch.testing.assert_close(added['rgb'][stage], maps + token[..., None, None])
    with pytest.raises(ValueError, match=r"readout must be one of \('ignore', 'add'\)"):
        features('project')


def test_at_equal_weights_a_list_of_necks_is_their_composition():
    head = dict(type='mmseg.FCNHead', num_convs=1, **dict(ONE, in_channels=16))
    model = segmentor(RESNET, [8, 16, 32, 64], head, necks=[FPN], fusion='ConcatFusion').eval()
    images = torch.randn(2, 4, *SIZE)
    assert isinstance(model.neck.fusions[0], ConcatFusion)
    wanted = model.further_necks[0](model.neck(model.backbone(images)))
    for a, b in zip(model.extract_feat(images), wanted):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(not has_host('mmdet'), reason='mmseg builds Mask2Former of mmdet')
def test_mask2former_where_mmdet_is():
    layer = dict(
        self_attn_cfg=dict(embed_dims=16, num_heads=2, dropout=0.0, batch_first=True),
        ffn_cfg=dict(embed_dims=16, feedforward_channels=32, num_fcs=2, ffn_drop=0.0),
    )
    matched = [
        dict(type='mmdet.ClassificationCost', weight=2.0),
        dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
        dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
    ]
    encoder = dict(
        layer,
        self_attn_cfg=dict(
            embed_dims=16, num_heads=2, num_levels=3, num_points=2, dropout=0.0, batch_first=True
        ),
    )
    head = dict(
        type='mmseg.Mask2FormerHead', in_channels=[8, 16, 32, 64], strides=[4, 8, 16, 32],
        feat_channels=16, out_channels=16, num_classes=4, num_queries=5,
        num_transformer_feat_level=3, align_corners=False,
        pixel_decoder=dict(
            type='mmdet.MSDeformAttnPixelDecoder', num_outs=3,
            norm_cfg=dict(type='GN', num_groups=4), act_cfg=dict(type='ReLU'),
            encoder=dict(num_layers=1, layer_cfg=encoder, init_cfg=None),
            positional_encoding=dict(num_feats=8, normalize=True), init_cfg=None,
        ),
        enforce_decoder_input_project=False,
        positional_encoding=dict(num_feats=8, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True, num_layers=2, init_cfg=None,
            layer_cfg=dict(layer, cross_attn_cfg=layer['self_attn_cfg']),
        ),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0,
                      reduction='mean', class_weight=[1.0] * 4 + [0.1]),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean',
                       loss_weight=5.0),
        loss_dice=dict(type='mmdet.DiceLoss', use_sigmoid=True, activate=True, reduction='mean',
                       naive_dice=True, eps=1.0, loss_weight=5.0),
        train_cfg=dict(
            num_points=32, oversample_ratio=3.0, importance_sample_ratio=0.75,
            assigner=dict(type='mmdet.HungarianAssigner', match_costs=matched),
            sampler=dict(type='mmdet.MaskPseudoSampler'),
        ),
    )  # fmt: skip
    model = segmentor(RESNET, [8, 16, 32, 64], head)
    model.init_weights()
    data = model.data_preprocessor(batch(), True)
    total, logged = model.parse_losses(model(**data, mode='loss'))
    assert 'nll_per_dim' in logged
    total.backward()
    model.eval()
    with torch.no_grad():
        for sample in model.test_step(batch()):
            assert sample.pred_sem_seg.data.shape == (1, *SIZE)
