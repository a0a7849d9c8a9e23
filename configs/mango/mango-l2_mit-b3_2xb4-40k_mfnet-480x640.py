"""MANGO with the paper's block, L = 2, at strides 16 and 32 of two MiT-B3 streams, MFNet.

Run:     python tools/train.py configs/mango/mango-l2_mit-b3_2xb4-40k_mfnet-480x640.py
Needs:   data/mfnet, see mango_mm/datasets/mfnet.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_mfnet-480x640.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
