"""MANGO with L = 8 blocks on the pixels of 16 x 16 patches, no encoder, NYU Depth V2.

Run:     python tools/train.py configs/ablations/mango-no-latent-l8_vit-b16_3xb2-40k_nyuv2-256x256.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   Table 6, mIoU 53.1, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16_3xb2-40k_nyuv2-256x256.py'
model = dict(
    backbone=dict(backbone=dict(_delete_=True, type='PatchPixels', patch_size=16)),
    # 16 x 16 tokens of each modality in one window
    neck=dict(fusion=dict(type='MangoFusion', window=16, depth=8, with_cp=True)),
)
