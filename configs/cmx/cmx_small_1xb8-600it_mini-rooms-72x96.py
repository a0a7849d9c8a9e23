"""CMX once, at the neck, between two small MiT streams, generated rooms.

Run:     python tools/train.py configs/cmx/cmx_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/mini-rooms_72x96.py',
    '../_base_/models/segmentor_small.py',
    '../_base_/schedules/scratch_600it.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        fusion=dict(_delete_=True, type='CMXFusion', num_heads=2),
    ),
)
