"""MANGO as in the paper: L = 12 blocks on two ViT-B/16 streams, SUN RGB-D.

Run:     python tools/train.py configs/mango/mango-l12_vit-b16_3xb2-40k_sunrgbd-256x256.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   arXiv:2508.10133, Table 1: pixel acc / mean acc / mIoU 83.9/67.2/54.1, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16_3xb2-40k_sunrgbd-256x256.py'
model = dict(
    # 16 x 16 tokens of each modality in one window
    neck=dict(fusion=dict(type='MangoFusion', window=16, depth=12, with_cp=True)),
)
