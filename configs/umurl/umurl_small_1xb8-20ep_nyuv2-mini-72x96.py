"""UmURL: self-supervised pretraining of two streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/umurl/umurl_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.UmURL',
    student={{_base_.model}},
    in_channels=64,
)
val_cfg = None
val_dataloader = None
val_evaluator = None
test_cfg = None
test_dataloader = None
test_evaluator = None
custom_hooks = [dict(type='mango_mm.RandomStateHook'), dict(type='mango_mm.FiniteLossHook')]
