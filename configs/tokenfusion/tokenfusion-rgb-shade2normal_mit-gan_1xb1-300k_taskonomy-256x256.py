"""TokenFusion, RGB + shading to normals, Taskonomy.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-rgb-shade2normal_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   MAE 0.058, RMSE 0.151 (printed as MSE), as MANGO's Table 2 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/rgb-shade2normal_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(neck=dict(fusion=dict(type='TokenFusion', sparsity_weight=1e-3)))
