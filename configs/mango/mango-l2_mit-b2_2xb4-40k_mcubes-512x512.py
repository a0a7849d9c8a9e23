"""MANGO with the paper's block, L = 2, at strides 16 and 32 of four MiT-B2 streams, MCubeS.

Run:     python tools/train.py configs/mango/mango-l2_mit-b2_2xb4-40k_mcubes-512x512.py
Needs:   data/mcubes/multimodal_dataset, see mango_mm/datasets/mcubes.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_2xb4-40k_mcubes-512x512.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
