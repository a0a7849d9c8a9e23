"""Concatenation of two ViT-B/16 streams, NYU Depth V2.

Run:     python tools/train.py configs/concat/concat_vit-b16_3xb2-40k_nyuv2-256x256.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16_3xb2-40k_nyuv2-256x256.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
