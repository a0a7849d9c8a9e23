"""MANGO with the paper's block, L = 2, generated movies.

Run:     python tools/train.py configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-movies-96x64.py'
model = dict(
    fusion=dict(type='MangoFusion', num_tokens=[24, 64], depth=2, reduction='sequence'),
)
