"""MANGO, L = 12 at stride 16, distance + normals to RGB, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-depth-normal2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   FID 67.61, KID x 100 1.54 (the authors' claim, not reproduced)
Ours:    not measured
"""

_base_ = '../_base_/settings/depth-normal2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(
    neck=dict(stages=[3], dim=256, fusion=dict(type='MangoFusion', window=16, depth=12)),
)
