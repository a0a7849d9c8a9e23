"""GeminiFusion in every block of a small MiT whose weights both modalities share, generated rooms.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    docs/fusions.md
"""

_base_ = [
    '../_base_/datasets/mini-rooms_72x96.py',
    '../_base_/models/segmentor_small_blocks.py',
    '../_base_/schedules/scratch_600it.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        fusion=dict(type='PixelwiseAttention'),
        blocks=r'layers\.\d+\.1\.\d+',
        read='norm1',
        write='attn.proj_drop',  # before the drop path and the residual sum
    ),
    decode_head=dict(head=dict(num_classes={{_base_.num_classes}})),
)
