"""MLA's model, one head for both modalities, trained jointly, generated films.

Run:     python tools/train.py configs/mla/mla-joint_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    docs/fusions.md
"""

_base_ = [
    '../_base_/datasets/mini-movies_96x64.py',
    '../_base_/models/classifier_small.py',
    '../_base_/schedules/films_600it.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    fusion=None,
    unimodal_heads=dict(combine='entropy', shared=True),
)
