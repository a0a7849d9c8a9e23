"""Concatenation of frozen EfficientNet-Lite0 and MiniLM features, movie posters and plots.

Run:     python tools/train.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2
Ours:    micro / macro F1 63.77 ± 0.76 / 53.21 ± 1.25, tuned 64.63 ± 0.25 / 57.77 ± 0.78, mAP 64.47 ± 0.38, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0-minilm_1xb32-1000it_movies-192x128.py'
model = dict(fusion=dict(type='ConcatFusion'))
