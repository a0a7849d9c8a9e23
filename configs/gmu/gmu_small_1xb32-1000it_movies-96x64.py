"""Gated multimodal unit, movie posters and plots.

Run:     python tools/train.py configs/gmu/gmu_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 27.12 ± 4.36 / 7.52 ± 2.43, mAP 25.22 ± 0.50, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(pool='before', fusion=dict(type='GatedFusion'))
