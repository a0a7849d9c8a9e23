"""Concatenation of two small MiT streams, generated rooms.

Run:     python tools/train.py configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 93.73 ± 0.28 / 86.52 ± 1.10 / 78.79 ± 1.04, 10 seeds; docs/results.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
