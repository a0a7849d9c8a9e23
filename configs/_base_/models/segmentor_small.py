# Two streams of two small MiT stages, fusion at stride 8: minutes on a CPU.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.MultiStreamBackbone',
        backbone=dict(
            type='mmseg.MixVisionTransformer',
            in_channels=3,
            embed_dims=32,
            num_stages=2,
            num_layers=[2, 2],
            num_heads=[1, 2],
            patch_sizes=[7, 3],
            strides=[4, 2],
            sr_ratios=[4, 2],
            out_indices=(0, 1),
            mlp_ratio=2,
            qkv_bias=True,
            drop_path_rate=0.0,
        ),
    ),
    neck=dict(
        type='mango_mm.FusionNeck',
        in_channels=[32, 64],
        stages=[1],
        dim=None,
        fusion=dict(type='ConcatFusion'),
        nll_weight=0.01,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[32, 64],
        in_index=[0, 1],
        channels=64,
        dropout_ratio=0.1,
        num_classes=40,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
