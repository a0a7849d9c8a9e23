"""MIND's student without teachers: heads for poster, plot and their concatenation, films.

Run:     python tools/train.py configs/mind/multi-head_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies), see its README
Ours:    docs/fusions.md
"""

_base_ = [
    '../_base_/datasets/movies_96x64.py',
    '../_base_/models/classifier_small.py',
    '../_base_/schedules/films_1000it.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    unimodal_heads=dict(combine='mean'),
)
