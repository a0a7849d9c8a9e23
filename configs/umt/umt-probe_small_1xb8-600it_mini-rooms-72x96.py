"""The test of UMT or UME: a fusion of frozen uni-modal streams, generated rooms.

Run:     python tools/train.py configs/umt/umt-probe_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
         its two teachers: python tools/train.py on the configs named below
Ours:    pixel acc / mean acc / mIoU 93.86 / 86.71 / 78.79, one seed (0); docs/fusions.md
"""

_base_ = '../concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.UnimodalProbe',
    student={{_base_.model}},
    teachers=dict(
        rgb=dict(
            config='configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py',
            checkpoint='work_dirs/rgb_small_1xb8-600it_mini-rooms-72x96/latest',
        ),
        depth=dict(
            config='configs/unimodal/depth_small_1xb8-600it_mini-rooms-72x96.py',
            checkpoint='work_dirs/depth_small_1xb8-600it_mini-rooms-72x96/latest',
        ),
    ),
)
