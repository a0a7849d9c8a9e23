"""UmURL: self-supervised pretraining of both encoders, movies.

Run:     python tools/train.py configs/umurl/umurl_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb32-1000it_movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.UmURL',
    student={{_base_.model}},
    in_channels=128,
    pool_first=True,  # a poster has 24 tokens, a plot as many as words
)
val_cfg = None
val_dataloader = None
val_evaluator = None
test_cfg = None
test_dataloader = None
test_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None, rule=None))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.VocabularyHook'),
]
