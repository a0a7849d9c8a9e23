"""MANGO with the paper's block, L = 2, at strides 16 and 32 of two MiT-B3 streams, FMB.

Run:     python tools/train.py configs/mango/mango-l2_mit-b3_2xb2-40k_fmb-600x800.py
Needs:   data/fmb, see mango_mm/datasets/fmb.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb2-40k_fmb-600x800.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
