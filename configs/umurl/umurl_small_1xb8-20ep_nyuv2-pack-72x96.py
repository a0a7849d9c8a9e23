"""UmURL: self-supervised pretraining of two streams, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/umurl/umurl_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    docs/fusions.md
"""

_base_ = '../concat/concat_small_1xb8-20ep_nyuv2-pack-72x96.py'
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
