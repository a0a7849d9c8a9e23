"""MIND trained with modality dropout: a head for RGB, depth and both, taught by uni-modal teachers, generated rooms.

Run:     python tools/train.py configs/mind/mind-dropout_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
         its two teachers: python tools/train.py on the configs named below
Ours:    docs/missing_modalities.md
"""

_base_ = '../mind/multi-head-dropout_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student={{_base_.model}},
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
