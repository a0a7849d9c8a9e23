# Two ViT-B/16 streams, fused in a neck, on SUN RGB-D.
_base_ = [
    '../datasets/sunrgbd_256x256.py',
    '../models/segmentor_vit-b16.py',
    '../schedules/tokenfusion_40k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
