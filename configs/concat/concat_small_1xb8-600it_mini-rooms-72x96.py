"""Concatenation of two small MiT streams, generated rooms.

Run:     python tools/train.py configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    mIoU 70.8 ± 1.6, 3 seeds; configs/mango/README.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
