# Two ViT-B/16 streams as in MAE, 256 tokens each, one fusion at the end, SegFormer's head.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.MultiStreamBackbone',
        backbone=dict(
            type='mmseg.VisionTransformer',
            img_size=(256, 256),
            patch_size=16,
            in_channels=3,
            embed_dims=768,
            num_layers=12,
            num_heads=12,
            mlp_ratio=4,
            out_indices=[11],
            qkv_bias=True,
            drop_path_rate=0.1,
            norm_cfg=dict(type='LN', eps=1e-6),
            final_norm=True,
            interpolate_mode='bicubic',
            # Weights of an MAE enter here, into every stream; off by default:
            # init_cfg=dict(type='Pretrained', checkpoint='mae_vit-b16.pth'),
        ),
    ),
    neck=dict(
        type='mango_mm.FusionNeck',
        in_channels=[768],
        stages=[0],
        dim=256,
        fusion=dict(type='ConcatFusion'),
        nll_weight=0.01,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[768],
        in_index=[0],
        channels=256,
        dropout_ratio=0.1,
        num_classes=40,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(171, 171)),
)
