"""MANGO with cross-modal couplings, L = 1, movie posters and plots.

Run:     python tools/train.py configs/mango/mango-cross-modal-l1_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 48.97 ± 3.00 / 32.54 ± 5.14, mAP 41.34 ± 4.52, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(
    fusion=dict(
        type='MangoFusion',
        num_tokens=[24, 64],
        depth=1,
        recipe='cross_modal',
        layers=dict(num_heads=4),
        reduction='sequence',
    ),
)
