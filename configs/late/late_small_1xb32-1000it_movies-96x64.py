"""Late fusion: a head for each modality, movie posters and plots.

Run:     python tools/train.py configs/late/late_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(fusion=None)
