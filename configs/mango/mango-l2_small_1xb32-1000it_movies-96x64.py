"""MANGO with the paper's block, L = 2, movie posters and plots.

Run:     python tools/train.py configs/mango/mango-l2_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 50.68 ± 1.78 / 36.15 ± 2.73, mAP 43.09 ± 2.07, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(
    fusion=dict(type='MangoFusion', num_tokens=[24, 64], depth=2, reduction='sequence'),
)
