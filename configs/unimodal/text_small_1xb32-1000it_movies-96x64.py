"""Plot alone, movie posters and plots.

Run:     python tools/train.py configs/unimodal/text_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 44.80 ± 1.62 / 24.92 ± 1.82, mAP 36.59 ± 2.75, 3 seeds; docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(
    encoders=dict(_delete_=True, text={{_base_.model.encoders.text}}),
    fusion=None,
)
