"""Concatenation of frozen EfficientNet-Lite0 and MiniLM features, movie posters and plots.

Run:     python tools/train.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2
Ours:    micro / macro F1 62.72 ± 0.22 / 55.15 ± 1.20, tuned 64.48 ± 0.50 / 58.13 ± 0.65, mAP 63.29 ± 0.24, 2 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0-minilm_1xb32-1000it_movies-192x128.py'
model = dict(fusion=dict(type='ConcatFusion'))
