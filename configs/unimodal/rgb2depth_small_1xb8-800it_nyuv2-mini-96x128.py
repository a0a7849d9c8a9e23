"""RGB alone to distance, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/rgb2depth_small_1xb8-800it_nyuv2-mini-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2_MINI data/taskonomy-nyuv2
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0576 ± 0.0016 / 0.0053 ± 0.0003 / 0.0729 ± 0.0020, 3 seeds; docs/translation.md
"""

_base_ = '../_base_/settings/rgb-edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py'
model = dict(sources=[dict(name='rgb', channels=3)], neck=None)
