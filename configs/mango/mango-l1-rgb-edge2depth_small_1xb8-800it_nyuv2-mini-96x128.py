"""MANGO with the paper's block, L = 1, RGB + occlusion edges to distance, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-l1-rgb-edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0525 ± 0.0010 / 0.0045 ± 0.0002 / 0.0671 ± 0.0014, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/rgb-edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(12, 16), depth=1)))
