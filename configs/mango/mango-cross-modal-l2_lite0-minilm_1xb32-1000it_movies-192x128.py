"""MANGO with cross-modal couplings on frozen EfficientNet-Lite0 and MiniLM features, movie posters and plots.

Run:     python tools/train.py configs/mango/mango-cross-modal-l2_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2
Ours:    micro / macro F1 64.80 ± 0.45 / 57.33 ± 1.44, tuned 65.66 ± 0.49 / 58.29 ± 1.91, mAP 64.34 ± 0.63, 5 seeds; docs/results.md
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
