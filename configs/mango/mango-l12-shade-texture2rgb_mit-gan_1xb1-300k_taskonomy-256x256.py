"""MANGO, L = 12 at stride 16, shading + texture edges to RGB, Taskonomy.

Run:     python tools/train.py configs/mango/mango-l12-shade-texture2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   FID 39.61, KID x 100 0.77 (the authors' claim, not reproduced)
Ours:    not measured
"""

_base_ = '../_base_/settings/shade-texture2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(
    neck=dict(stages=[3], dim=256, fusion=dict(type='MangoFusion', window=16, depth=12)),
)
