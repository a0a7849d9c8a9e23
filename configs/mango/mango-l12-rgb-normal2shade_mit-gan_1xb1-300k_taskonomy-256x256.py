"""MANGO, L = 12 at stride 16, RGB + normals to shading, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-rgb-normal2shade_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.062, RMSE 0.096 (printed as MSE) (the authors' claim, not reproduced)
Ours:    not measured
"""

_base_ = '../_base_/settings/rgb-normal2shade_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(
    neck=dict(stages=[3], dim=256, fusion=dict(type='MangoFusion', window=16, depth=12)),
)
