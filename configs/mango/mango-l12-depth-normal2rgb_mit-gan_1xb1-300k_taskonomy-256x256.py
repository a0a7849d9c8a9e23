"""MANGO, L = 12 at stride 16, distance + normals to RGB, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-depth-normal2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   FID 67.61, KID x 100 1.54 (the authors' claim, not reproduced)
"""

_base_ = [
    '../_base_/datasets/depth-normal2rgb_taskonomy-256x256.py',
    '../_base_/models/translator_mit-gan.py',
    '../_base_/schedules/tokenfusion_gan_300k.py',
    '../_base_/translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
    discriminator=dict(in_channels={{_base_.pair_channels}}),
    neck=dict(
        stages=[3],
        dim=256,
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=16,
            depth=12,
        ),
    ),
)
