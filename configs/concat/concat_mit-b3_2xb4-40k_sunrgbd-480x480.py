"""Concatenation of two MiT-B3 streams, SUN RGB-D.

Run:     python tools/train.py configs/concat/concat_mit-b3_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   mIoU 49.0 with MiT-B3, claimed by TokenFusion's authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_sunrgbd-480x480.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
