# Two MiT-B0 streams, fusion at strides 16 and 32, concatenation at 4 and 8, SegFormer's head.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.MultiStreamBackbone',
        backbone=dict(
            type='mmseg.MixVisionTransformer',
            in_channels=3,
            embed_dims=32,
            num_stages=4,
            num_layers=[2, 2, 2, 2],
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
            out_indices=(0, 1, 2, 3),
            mlp_ratio=4,
            qkv_bias=True,
            drop_path_rate=0.1,
            # ImageNet weights enter here, into every stream; off by default:
            # init_cfg=dict(type='Pretrained', checkpoint='mit_b0.pth'),
        ),
    ),
    neck=dict(
        type='mango_mm.FusionNeck',
        in_channels=[32, 64, 160, 256],
        stages=[2, 3],
        dim=None,
        fusion=dict(type='ConcatFusion'),
        nll_weight=0.01,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=40,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
