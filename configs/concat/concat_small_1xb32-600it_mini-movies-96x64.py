"""Concatenation of all tokens, generated movies.

Run:     python tools/train.py configs/concat/concat_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    micro / macro F1 88.24 / 90.76, tuned 87.28 / 92.33, mAP 91.38, seed 0, as float16 in the zoo
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-movies-96x64.py'
model = dict(fusion=dict(type='ConcatFusion', reduction='sequence'))
