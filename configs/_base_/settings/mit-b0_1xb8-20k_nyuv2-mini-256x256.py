# Two MiT-B0 streams, fused in a neck, on NYU Depth V2 mini.
_base_ = [
    '../datasets/nyuv2-mini_256x256.py',
    '../models/segmentor_mit-b0.py',
    '../schedules/scratch_20k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
