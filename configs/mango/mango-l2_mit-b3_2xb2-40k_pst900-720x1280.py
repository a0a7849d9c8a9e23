"""MANGO with the paper's block, L = 2, at strides 16 and 32 of two MiT-B3 streams, PST900.

Run:     python tools/train.py configs/mango/mango-l2_mit-b3_2xb2-40k_pst900-720x1280.py
Needs:   data/pst900, see mango_mm/datasets/pst900.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb2-40k_pst900-720x1280.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
