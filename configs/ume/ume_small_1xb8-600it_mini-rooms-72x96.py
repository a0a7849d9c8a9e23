"""UME: a stream and a head per modality that share nothing, predictions averaged, generated rooms.

Run:     python tools/train.py configs/ume/ume_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 92.20 / 75.22 / 69.88, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/heads_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=None, decode_head=dict(combine='mean', shared=False))
