"""MANGO with the paper's block, L = 2, at strides 16 and 32 of two MiT-B3 streams, NYU Depth V2.

Run:     python tools/train.py configs/mango/mango-l2_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
