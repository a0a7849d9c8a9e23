"""MANGO with the paper's block, L = 2, at strides 16 and 32 of four MiT-B2 streams, DELIVER.

Run:     python tools/train.py configs/mango/mango-l2_mit-b2_4xb2-40k_deliver-1024x1024.py
Needs:   data/deliver, see mango_mm/datasets/deliver.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_4xb2-40k_deliver-1024x1024.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
