"""Gated multimodal unit, film posters and plots.

Run:     python tools/train.py configs/gmu/gmu_small_1xb32-1000it_movies-96x64.py
Needs:   MANGO_DATA_ROOT/movies in the layout of MM-IMDB
"""

_base_ = [
    '../_base_/datasets/movies_96x64.py',
    '../_base_/models/classifier_small.py',
    '../_base_/schedules/films_1000it.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    pool='before',
    fusion=dict(_delete_=True, type='GatedFusion'),
)
