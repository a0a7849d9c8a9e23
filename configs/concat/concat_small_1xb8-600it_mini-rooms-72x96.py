"""Concatenation of two small MiT streams, generated rooms.

Run:     python tools/train.py configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 92.55 ± 0.25 / 77.91 ± 0.79 / 70.37 ± 0.78, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
