"""RGB alone, one MiT-B3 stream, SUN RGB-D.

Run:     python tools/train.py configs/unimodal/rgb_mit-b3_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   mIoU 48.1 with MiT-B3, claimed by TokenFusion's authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_sunrgbd-480x480.py'
model = dict(backbone=dict(use=['rgb']), neck=None)
