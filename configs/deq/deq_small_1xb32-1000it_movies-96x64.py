"""DEQ-Fusion, movie posters and plots.

Run:     python tools/train.py configs/deq/deq_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 42.80 ± 4.09 / 19.97 ± 5.11, mAP 33.44 ± 1.17, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(pool='before', fusion=dict(type='DEQFusion'))
