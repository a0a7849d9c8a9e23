"""Poster alone, movie posters and plots.

Run:     python tools/train.py configs/unimodal/image_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 29.55 ± 1.76 / 8.90 ± 0.65, mAP 28.18 ± 0.29, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(
    encoders=dict(_delete_=True, image={{_base_.model.encoders.image}}),
    fusion=None,
)
