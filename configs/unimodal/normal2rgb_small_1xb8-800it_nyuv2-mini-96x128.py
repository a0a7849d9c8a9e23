"""Normals alone to RGB, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.4368 ± 0.0022 / 0.2979 ± 0.0017 / 0.5458 ± 0.0016, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(sources=[dict(name='normal', channels=3)], neck=None)
