"""Concatenation at all strides of four MiT-B2 streams, MUSES: frame camera, events, lidar and radar.

Run:     python tools/train.py configs/concat/concat_mit-b2_4xb2-40k_muses-512x1024.py
Needs:   data/muses, see mango_mm/datasets/muses.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_4xb2-40k_muses-512x1024.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
