"""CMX between two ViT-B/16 streams, SUN RGB-D.

Run:     python tools/train.py configs/cmx/cmx_vit-b16_3xb2-40k_sunrgbd-256x256.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Ours:    not measured
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
    neck=dict(fusion=dict(_delete_=True, type='CMXFusion', num_heads=8)),
)
