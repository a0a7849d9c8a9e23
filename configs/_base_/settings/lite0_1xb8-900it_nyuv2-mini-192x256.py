# Two EfficientNet-Lite0 streams with ImageNet weights, fused in a neck, on NYU Depth V2 mini.
_base_ = [
    '../datasets/nyuv2-mini_192x256.py',
    '../models/segmentor_lite0.py',
    '../schedules/lite0_900it.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
