"""U3M of two MiT-B3 streams, NYU Depth V2.

Run:     python tools/train.py configs/u3m/u3m_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(neck=dict(stages=[0, 1, 2, 3], fusion=dict(type='U3MFusion')))
