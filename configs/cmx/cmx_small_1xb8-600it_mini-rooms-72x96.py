"""CMX once, at the neck, between two small MiT streams, generated rooms.

Run:     python tools/train.py configs/cmx/cmx_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 93.58 / 87.62 / 79.58, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='CMXFusion', num_heads=2)))
