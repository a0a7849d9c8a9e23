"""Concatenation of two streams that UmURL has pretrained, generated rooms.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
         python tools/train.py configs/umurl/umurl_small_1xb8-600it_mini-rooms-72x96.py
Ours:    pixel acc / mean acc / mIoU 93.40 / 86.47 / 77.97, one seed (0); docs/fusions.md
"""

_base_ = '../concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/umurl_small_1xb8-600it_mini-rooms-72x96/iter_600.pth',
            prefix='student.backbone.',
        ),
    ),
)
