# One ViT-B/16 for both modalities, private norms, a fusion inside its blocks (the leaf says which),
# one head for both and a learned ensemble: as TokenFusion, GeminiFusion and CEN do.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.BlockFusionBackbone',
        modalities=dict(rgb=3, depth=1),
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
            # Weights of an MAE enter here; off by default:
            # init_cfg=dict(type='Pretrained', checkpoint='mae_vit-b16.pth'),
        ),
    ),
    decode_head=dict(
        type='mango_mm.EnsembleHead',
        modalities=['rgb', 'depth'],
        combine='learned',
        shared=True,
        head=dict(
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
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(171, 171)),
)
