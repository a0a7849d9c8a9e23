"""Plot alone, film posters and plots.

Run:     python tools/train.py configs/unimodal/text_small_1xb32-1000it_movies-96x64.py
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
    encoders=dict(
        _delete_=True,
        text=dict(type='WordTextEncoder', dim=128, max_length=64, depth=2, dropout=0.3),
    ),
    fusion=None,
)
