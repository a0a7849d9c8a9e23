"""MANGO that knows its sensors: heads weighted by which work, generated movies.

Run:     python tools/train.py configs/mango/mango-trust-l2_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    micro / macro F1 87.87 / 89.59, tuned 87.52 / 92.32, mAP 91.93, seed 0, 1,000 + 200 movies, as float16 in the zoo
"""

_base_ = './mango-l2_small_1xb32-600it_mini-movies-96x64.py'
model = dict(unimodal_heads=dict(combine='trust', trust=dict(directions=16, rate=0.05)))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.VocabularyHook'),
    dict(type='mango_mm.TrustHook', hold_out=200, batch_size=64),
    dict(type='mango_mm.ThresholdHook'),
]
