"""CEN (channel exchange), RGB + normals to shading, Taskonomy.

Run:     python tools/train.py configs/cen/cen-rgb-normal2shade_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.110, RMSE 0.172 (printed as MSE), as MANGO's Table 2 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/rgb-normal2shade_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(
    neck=dict(
        fusion=dict(type='ChannelExchangeFusion', threshold=1e-2, sparsity_weight=1e-3),
    ),
)
