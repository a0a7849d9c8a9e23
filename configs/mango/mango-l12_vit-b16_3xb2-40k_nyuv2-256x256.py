"""MANGO as in the paper: L = 12 blocks on two ViT-B/16 streams, NYU Depth V2.

Run:     python tools/train.py configs/mango/mango-l12_vit-b16_3xb2-40k_nyuv2-256x256.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   arXiv:2508.10133, Table 1: pixel acc / mean acc / mIoU 81.5/71.6/59.2, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16_3xb2-40k_nyuv2-256x256.py'
model = dict(
    # 16 x 16 tokens of each modality in one window
    neck=dict(fusion=dict(type='MangoFusion', window=16, depth=12, with_cp=True)),
)
