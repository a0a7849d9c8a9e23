# TokenFusion's translator, shading + texture edges to RGB, on Taskonomy.
_base_ = [
    '../datasets/shade-texture2rgb_taskonomy-256x256.py',
    '../models/translator_mit-gan.py',
    '../schedules/tokenfusion_gan_300k.py',
    '../translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
    discriminator=dict(in_channels={{_base_.pair_channels}}),
)
