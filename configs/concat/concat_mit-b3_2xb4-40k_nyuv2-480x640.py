"""Concatenation of two MiT-B3 streams, NYU Depth V2.

Run:     python tools/train.py configs/concat/concat_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 51.4 with MiT-B3, claimed by TokenFusion's authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
