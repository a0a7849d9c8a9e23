# Two small MiT streams, fused in a neck, on NYU Depth V2 mini;
# each modality is dropped from 30 % of the training samples.
_base_ = [
    '../datasets/nyuv2-mini_72x96_dropout.py',
    '../models/segmentor_small.py',
    '../schedules/scratch_20ep_nyuv2-mini.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
# Every validation and test again for each modality alone.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mango_mm.MissingModalityHook', modalities={{_base_.channels}}),
]
