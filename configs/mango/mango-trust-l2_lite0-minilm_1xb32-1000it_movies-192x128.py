"""MANGO that knows its sensors: heads weighted by which work, frozen EfficientNet-Lite0 and MiniLM, movies.

Run:     python tools/train.py configs/mango/mango-trust-l2_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2 --plain
Ours:    micro F1 / macro F1 / mAP on test, thresholds from dev, 64.2 ± 0.4 / 57.7 ± 0.6 / 64.5 ± 0.4, 3 seeds; docs/trust.md
"""

_base_ = './mango-cross-modal-l2_lite0-minilm_1xb32-1000it_movies-192x128.py'
model = dict(unimodal_heads=dict(combine='trust'))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.VocabularyHook'),
    dict(type='mango_mm.TrustHook', hold_out=200, batch_size=64),
    dict(type='mango_mm.ThresholdHook'),
]
