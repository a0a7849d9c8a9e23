"""TokenFusion, shading + texture edges to RGB, Taskonomy.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-shade-texture2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   FID 43.92, KID x 100 0.94, as MANGO's Table 2 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/shade-texture2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(neck=dict(fusion=dict(type='TokenFusion', sparsity_weight=1e-3)))
