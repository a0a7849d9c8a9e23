"""Distance alone to RGB, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/depth2rgb_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.4401 ± 0.0006 / 0.2997 ± 0.0018 / 0.5474 ± 0.0017, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/depth-normal2rgb_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(sources=[dict(name='depth_euclidean', channels=1)], neck=None)
