"""MLA: the modalities in turn through one head, generated rooms.

Run:     python tools/train.py configs/mla/mla_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 92.26 / 76.51 / 70.47, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/heads_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student=dict(
        _base_.model,
        neck=None,
        decode_head=dict(_base_.model.decode_head, combine='entropy', shared=True),
    ),
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
