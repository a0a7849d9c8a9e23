# Two EfficientNet-Lite0 streams with ImageNet weights, fusion at strides 16 and 32, concatenation at
# 4 and 8, SegFormer's head. The weights: python tools/prepare/encoders.py efficientnet-lite0.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.MultiStreamBackbone',
        backbone=dict(
            type='mmseg.TIMMBackbone',
            model_name='tf_efficientnet_lite0',
            features_only=True,
            pretrained=False,
            out_indices=(1, 2, 3, 4),
            init_cfg=dict(
                type='Pretrained',
                checkpoint='{{$MANGO_ENCODERS:data/encoders}}/efficientnet-lite0.safetensors',
            ),
        ),
    ),
    neck=dict(
        type='mango_mm.FusionNeck',
        in_channels=[24, 40, 112, 320],
        stages=[2, 3],
        dim=96,
        fusion=dict(type='ConcatFusion'),
        nll_weight=0.01,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[24, 40, 112, 320],
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        num_classes=40,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
