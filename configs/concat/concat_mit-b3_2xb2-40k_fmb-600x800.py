"""Concatenation at all strides of two MiT-B3 streams, FMB: RGB and infrared.

Run:     python tools/train.py configs/concat/concat_mit-b3_2xb2-40k_fmb-600x800.py
Needs:   data/fmb, see mango_mm/datasets/fmb.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb2-40k_fmb-600x800.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
