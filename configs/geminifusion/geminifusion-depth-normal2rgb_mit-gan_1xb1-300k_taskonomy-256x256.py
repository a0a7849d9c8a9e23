"""GeminiFusion, distance + normals to RGB, Taskonomy.

Run:     python tools/train.py configs/geminifusion/geminifusion-depth-normal2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py
Needs:   data/taskonomy, checked by python tools/prepare/taskonomy.py data/taskonomy; a GPU
Paper:   FID 96.98, KID x 100 3.71, as MANGO's Table 2 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/depth-normal2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py'
model = dict(neck=dict(fusion=dict(type='GeminiFusion')))
