"""Concatenation at all strides of two MiT-B3 streams, PST900: RGB and thermal.

Run:     python tools/train.py configs/concat/concat_mit-b3_2xb2-40k_pst900-720x1280.py
Needs:   data/pst900, see mango_mm/datasets/pst900.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb2-40k_pst900-720x1280.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
