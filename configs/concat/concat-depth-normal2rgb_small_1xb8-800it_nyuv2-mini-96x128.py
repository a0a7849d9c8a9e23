"""Concatenation, distance + normals to RGB, NYU Depth V2 mini.

Run:     python tools/train.py configs/concat/concat-depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.4338 ± 0.0016 / 0.2951 ± 0.0017 / 0.5432 ± 0.0016, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
