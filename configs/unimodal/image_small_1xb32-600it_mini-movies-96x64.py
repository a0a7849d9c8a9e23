"""Poster alone, generated movies.

Run:     python tools/train.py configs/unimodal/image_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-movies-96x64.py'
model = dict(
    encoders=dict(_delete_=True, image={{_base_.model.encoders.image}}),
    fusion=None,
)
