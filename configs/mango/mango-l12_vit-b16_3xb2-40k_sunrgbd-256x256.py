"""MANGO as in the paper: L = 12 blocks on two ViT-B/16 streams, SUN RGB-D.

Run:     python tools/train.py configs/mango/mango-l12_vit-b16_3xb2-40k_sunrgbd-256x256.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   arXiv:2508.10133, Table 1: pixel acc / mean acc / mIoU 83.9/67.2/54.1, claimed by its authors
Ours:    see configs/mango/README.md; empty there until measured
"""

_base_ = [
    '../_base_/datasets/sunrgbd_256x256.py',
    '../_base_/models/segmentor_vit-b16.py',
    '../_base_/schedules/tokenfusion_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
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
