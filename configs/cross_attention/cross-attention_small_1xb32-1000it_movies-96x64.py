"""Cross-attention, movie posters and plots.

Run:     python tools/train.py configs/cross_attention/cross-attention_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    micro / macro F1 46.44 / 24.05, mAP 36.85, one seed (0); docs/movies.md
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(fusion=dict(type='CrossAttentionFusion', reduction='sequence'))
