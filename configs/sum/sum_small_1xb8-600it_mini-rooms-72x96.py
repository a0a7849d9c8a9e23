"""Sum of two small MiT streams, generated rooms.

Run:     python tools/train.py configs/sum/sum_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 93.25 / 86.47 / 78.20, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='SumFusion')))
