"""GeminiFusion, RGB + occlusion edges to distance, Taskonomy.

Run:     python tools/train.py configs/geminifusion/geminifusion-rgb-edge2depth_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.020, RMSE 0.049 (printed as MSE), as MANGO's Table 2 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/rgb-edge2depth_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(neck=dict(fusion=dict(type='GeminiFusion')))
