"""MANGO with the paper's block, L = 2, at strides 16 and 32 of four MiT-B2 streams, MUSES.

Run:     python tools/train.py configs/mango/mango-l2_mit-b2_4xb2-40k_muses-512x1024.py
Needs:   data/muses, see mango_mm/datasets/muses.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_4xb2-40k_muses-512x1024.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
