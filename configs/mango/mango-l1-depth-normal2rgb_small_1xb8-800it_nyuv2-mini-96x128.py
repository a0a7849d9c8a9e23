"""MANGO with the paper's block, L = 1, distance + normals to RGB, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-l1-depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.4339 ± 0.0001 / 0.2961 ± 0.0008 / 0.5441 ± 0.0007, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(12, 16), depth=1)))
