"""RGB alone, one ViT-B/16 stream, NYU Depth V2.

Run:     python tools/train.py configs/unimodal/rgb_vit-b16_3xb2-40k_nyuv2-256x256.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16_3xb2-40k_nyuv2-256x256.py'
model = dict(backbone=dict(use=['rgb']), neck=None)
