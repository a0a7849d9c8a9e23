"""TokenFusion, RGB + normals to shading, Taskonomy.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-rgb-normal2shade_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
"""

_base_ = [
    '../_base_/datasets/rgb-normal2shade_taskonomy-256x256.py',
    '../_base_/models/translator_mit-gan.py',
    '../_base_/schedules/tokenfusion_gan_300k.py',
    '../_base_/translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
    discriminator=dict(in_channels={{_base_.pair_channels}}),
    neck=dict(
        fusion=dict(_delete_=True, type='TokenFusion', sparsity_weight=1e-3),
    ),
)
