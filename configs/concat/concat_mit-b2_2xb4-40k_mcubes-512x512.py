"""Concatenation at all strides of four MiT-B2 streams, MCubeS: RGB, polarisation and near infrared.

Run:     python tools/train.py configs/concat/concat_mit-b2_2xb4-40k_mcubes-512x512.py
Needs:   data/mcubes/multimodal_dataset, see mango_mm/datasets/mcubes.py
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b2_2xb4-40k_mcubes-512x512.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
