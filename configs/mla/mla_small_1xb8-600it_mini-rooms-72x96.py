"""MLA: the modalities in turn through one head, generated rooms.

Run:     python tools/train.py configs/mla/mla_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    docs/fusions.md
"""

_base_ = '../mla/mla-joint_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student={{_base_.model}},
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
