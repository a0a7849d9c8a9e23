"""MIND: a head for RGB, depth and both, taught by uni-modal teachers, generated rooms.

Run:     python tools/train.py configs/mind/mind_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
         its two teachers: python tools/train.py on the configs named below
Ours:    pixel acc / mean acc / mIoU 93.93 / 87.63 / 79.81, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/heads_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(
        _base_.model,
        decode_head=dict(_base_.model.decode_head, combine='fused', shared=False),
    ),
    teachers=dict(
        rgb=[
            dict(
                config='configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py',
                checkpoint='work_dirs/rgb_small_1xb8-600it_mini-rooms-72x96/latest',
            )
        ],
        depth=[
            dict(
                config='configs/unimodal/depth_small_1xb8-600it_mini-rooms-72x96.py',
                checkpoint='work_dirs/depth_small_1xb8-600it_mini-rooms-72x96/latest',
            )
        ],
    ),
)
