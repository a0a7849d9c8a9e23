"""Concatenation at all strides of four MiT-B2 streams, DELIVER: RGB, depth, events and lidar.

Run:     python tools/train.py configs/concat/concat_mit-b2_4xb2-40k_deliver-1024x1024.py
Needs:   data/deliver, see mango_mm/datasets/deliver.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_4xb2-40k_deliver-1024x1024.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
