"""MANGO with the paper's block, L = 2, at stride 8 of two small MiT streams, generated rooms.

Run:     python tools/train.py configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 93.76 ± 0.16 / 86.79 ± 0.71 / 79.31 ± 0.73, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(9, 12), depth=2)))
