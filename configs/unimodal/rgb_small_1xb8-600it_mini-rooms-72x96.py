"""RGB alone, one small MiT stream, generated rooms.

Run:     python tools/train.py configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 87.61 / 78.16 / 68.05, one seed (0); docs/results.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(backbone=dict(use=['rgb']), neck=None)
