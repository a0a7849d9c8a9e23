"""MANGO with cross-modal couplings on frozen EfficientNet-Lite0 and MiniLM features, movie posters and plots.

Run:     python tools/train.py configs/mango/mango-cross-modal-l2_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2
Ours:    micro / macro F1 64.67 ± 0.54 / 57.91 ± 1.08, tuned 63.60 ± 1.10 / 56.66 ± 1.38, mAP 62.20 ± 1.12, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0-minilm_1xb32-1000it_movies-192x128.py'
model = dict(
    fusion=dict(
        type='MangoFusion',
        num_tokens=1,
        depth=2,
        recipe='cross_modal',
        normalize='restore',
        layers=dict(gate_init=0.0, num_heads=4),
    )
)
