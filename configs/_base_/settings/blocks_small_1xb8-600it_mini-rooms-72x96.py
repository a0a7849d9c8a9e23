# One small MiT for both modalities, fused in its blocks, on generated rooms.
_base_ = [
    '../datasets/mini-rooms_72x96.py',
    '../models/segmentor_small_blocks.py',
    '../schedules/scratch_600it.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    decode_head=dict(
        modalities={{_base_.modalities}}, head=dict(num_classes={{_base_.num_classes}})
    ),
)
