"""Concatenation of all tokens, movie posters and plots.

Run:     python tools/train.py configs/concat/concat_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 46.78 ± 1.76 / 26.64 ± 2.52, mAP 37.78 ± 0.89, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(fusion=dict(type='ConcatFusion', reduction='sequence'))
