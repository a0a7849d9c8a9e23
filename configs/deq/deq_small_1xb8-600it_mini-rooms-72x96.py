"""DEQ-Fusion between two small MiT streams, generated rooms.

Run:     python tools/train.py configs/deq/deq_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 93.52 / 86.41 / 78.26, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='DEQFusion')))
