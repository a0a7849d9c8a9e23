"""MANGO with L = 12 blocks on the pixels of 16 x 16 patches, no encoder, NYU Depth V2.

Run:     python tools/train.py configs/ablations/mango-no-latent-l12_vit-b16_3xb2-40k_nyudv2-256x256.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   Table 6, mIoU 58.0, claimed by its authors
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyudv2_256x256.py',
    '../_base_/models/segmentor_vit-b16.py',
    '../_base_/schedules/tokenfusion_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    backbone=dict(backbone=dict(_delete_=True, type='PatchPixels', patch_size=16)),
    neck=dict(
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=16,  # 256 tokens of each modality
            depth=12,
            with_cp=True,
        ),
    ),
)
