# One MiT-B3 for both modalities, private norms, a fusion inside its blocks (the leaf says which),
# one head for both and a learned ensemble: as TokenFusion, GeminiFusion and CEN do.
norm_cfg = dict(type='SyncBN', requires_grad=True)  # plain BN where there is one process
model = dict(
    type='mango_mm.MultimodalEncoderDecoder',
    backbone=dict(
        type='mango_mm.BlockFusionBackbone',
        modalities=dict(rgb=3, depth=1),
        backbone=dict(
            type='mmseg.MixVisionTransformer',
            in_channels=3,
            embed_dims=64,
            num_stages=4,
            num_layers=[3, 4, 18, 3],
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
            out_indices=(0, 1, 2, 3),
            mlp_ratio=4,
            qkv_bias=True,
            drop_path_rate=0.1,
            # ImageNet weights enter here; off by default:
            # init_cfg=dict(type='Pretrained', checkpoint='mit_b3.pth'),
        ),
    ),
    decode_head=dict(
        type='mango_mm.EnsembleHead',
        modalities=['rgb', 'depth'],
        combine='learned',
        shared=True,
        head=dict(
            type='SegformerHead',
            in_channels=[64, 128, 320, 512],
            in_index=[0, 1, 2, 3],
            channels=256,
            dropout_ratio=0.1,
            num_classes=40,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
        ),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
