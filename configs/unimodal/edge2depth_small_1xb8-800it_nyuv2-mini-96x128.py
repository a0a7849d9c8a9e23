"""Occlusion edges alone to distance, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0569 ± 0.0008 / 0.0050 ± 0.0001 / 0.0707 ± 0.0010, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/rgb-edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(sources=[dict(name='edge_occlusion', channels=1)], neck=None)
