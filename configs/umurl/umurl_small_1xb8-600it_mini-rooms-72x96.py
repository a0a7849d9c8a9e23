"""UmURL: self-supervised pretraining of two streams, generated rooms.

Run:     python tools/train.py configs/umurl/umurl_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.UmURL',
    student={{_base_.model}},
    in_channels=64,
)
# By its own loss: at the .008 of the trainings with labels it collapses (17.8 at the end; 16.7 at this).
optim_wrapper = dict(optimizer=dict(lr=2e-3))
val_cfg = None
val_dataloader = None
val_evaluator = None
test_cfg = None
test_dataloader = None
test_evaluator = None
custom_hooks = [dict(type='mango_mm.RandomStateHook'), dict(type='mango_mm.FiniteLossHook')]
