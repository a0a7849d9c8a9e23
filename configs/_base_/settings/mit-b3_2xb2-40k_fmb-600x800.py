# Two MiT-B3 streams, fused in a neck, on FMB.
_base_ = [
    '../datasets/fmb_600x800.py',
    '../models/segmentor_mit-b3.py',
    '../schedules/tokenfusion_40k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
