# Four MiT-B2 streams, fused in a neck, on DELIVER.
_base_ = [
    '../datasets/deliver_1024x1024.py',
    '../models/segmentor_mit-b2.py',
    '../schedules/tokenfusion_40k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
