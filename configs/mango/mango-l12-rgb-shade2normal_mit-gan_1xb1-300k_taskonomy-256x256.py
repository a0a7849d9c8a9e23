"""MANGO, L = 12 at stride 16, RGB + shading to normals, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-rgb-shade2normal_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.052, RMSE 0.112 (printed as MSE) (the authors' claim, not reproduced)
Ours:    not measured
"""

_base_ = '../_base_/settings/rgb-shade2normal_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(
    neck=dict(stages=[3], dim=256, fusion=dict(type='MangoFusion', window=16, depth=12)),
)
