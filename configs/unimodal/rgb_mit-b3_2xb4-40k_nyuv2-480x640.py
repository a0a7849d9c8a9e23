"""RGB alone, one MiT-B3 stream, NYU Depth V2.

Run:     python tools/train.py configs/unimodal/rgb_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 50.6 with MiT-B3, claimed by TokenFusion's authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(backbone=dict(use=['rgb']), neck=None)
