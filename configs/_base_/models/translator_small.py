# A convolutional encoder per source, fusion at stride 8, a U-Net decoder: minutes on a CPU.
# The leaf says which sources, and the channels of the target.
model = dict(
    type='mango_mm.MultimodalTranslator',
    encoder=dict(type='ConvPyramid', channels=[16, 32, 64]),
    neck=dict(
        type='FusionNeck',
        in_channels=[16, 32, 64],
        stages=[2],
        fusion=dict(type='ConcatFusion'),
        nll_weight=0.01,
    ),
    decoder=dict(type='UNetDecoder', in_channels=[16, 32, 64]),
    pixel_loss=dict(type='mmagic.L1Loss', loss_weight=1.0),
)
