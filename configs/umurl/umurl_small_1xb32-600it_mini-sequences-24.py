"""UmURL: self-supervised pretraining of three encoders, generated sequences.

Run:     python tools/train.py configs/umurl/umurl_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb32-600it_mini-sequences-24.py'
model = dict(
    _delete_=True,
    type='mango_mm.UmURL',
    student={{_base_.model}},
    in_channels=32,
    pool_first=True,  # sequences differ in length
)
val_cfg = None
val_dataloader = None
val_evaluator = None
test_cfg = None
test_dataloader = None
test_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None, rule=None))
