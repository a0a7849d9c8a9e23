"""Concatenation at all strides of two MiT-B3 streams, MFNet: RGB and thermal.

Run:     python tools/train.py configs/concat/concat_mit-b3_2xb4-40k_mfnet-480x640.py
Needs:   data/mfnet, see mango_mm/datasets/mfnet.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_mfnet-480x640.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
