"""MANGO, L = 12 at stride 16, RGB + shading to normals, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-rgb-shade2normal_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.052, RMSE 0.112 (printed as MSE) (the authors' claim, not reproduced)
"""

_base_ = [
    '../_base_/datasets/rgb-shade2normal_taskonomy-256x256.py',
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
