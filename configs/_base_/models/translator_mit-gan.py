# TokenFusion's translator: five MiT stages a source, fusion, pixel-shuffle decoder, a GAN.
# The leaf says which sources, and the channels of the target and of both together.
channels = [64, 128, 256, 512, 1024]
mit = dict(type='mmseg.MixVisionTransformer', embed_dims=64, drop_path_rate=0.1)
model = dict(
    type='mango_mm.MultimodalTranslator',
    encoder=dict(
        **mit,
        num_stages=5,
        num_layers=[3, 4, 4, 6, 3],
        num_heads=[1, 2, 4, 8, 16],
        patch_sizes=[3, 3, 3, 3, 3],
        strides=[2, 2, 2, 2, 2],
        sr_ratios=[16, 8, 4, 2, 1],
        out_indices=(0, 1, 2, 3, 4),
    ),
    neck=dict(
        type='FusionNeck',
        in_channels=channels,
        stages=[0, 1, 2, 3, 4],
        fusion=dict(type='ConcatFusion'),
        nll_weight=1.0,  # a hundredth of the pixel loss, as in the small model
    ),
    decoder=dict(
        type='PixelShuffleDecoder',
        in_channels=channels,
        blocks=[
            dict(
                **mit,
                num_stages=1,
                num_layers=[layers],
                num_heads=[heads],
                patch_sizes=[3],
                strides=[1],
                sr_ratios=[ratio],
                out_indices=(0,),
            )
            for layers, heads, ratio in ((3, 1, 16), (4, 2, 8), (4, 4, 4), (6, 8, 2))
        ],
    ),
    pixel_loss=dict(type='mmagic.L1Loss', loss_weight=100.0),
    discriminator=dict(type='mmagic.PatchDiscriminator', norm_cfg=dict(type='IN')),
    gan_loss=dict(type='mmagic.GANLoss', gan_type='vanilla', loss_weight=1.0),
)
