"""MIND: a head for poster, plot and both on frozen EfficientNet-Lite0 and MiniLM features, taught by uni-modal teachers.

Run:     python tools/train.py configs/mind/mind_lite0-minilm_1xb32-1000it_movies-192x128.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0 minilm
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py --views 2
         its two teachers: python tools/benchmark/compare.py movies-frozen --only "poster alone" "plot alone" MIND
Ours:    micro / macro F1 63.23 ± 0.52 / 52.60 ± 0.77, tuned 64.52 ± 0.55 / 57.13 ± 0.77, mAP 64.02 ± 0.35, 5 seeds; docs/results.md
"""

_base_ = '../concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(_base_.model, unimodal_heads=dict(combine='mean')),
    teachers=dict(
        image=[
            dict(
                config=dict(_base_.model, fusion=None, use=['image']),
                checkpoint='work_dirs/suite_movies-frozen/poster alone/seed0/latest',
            )
        ],
        text=[
            dict(
                config=dict(_base_.model, fusion=None, use=['text']),
                checkpoint='work_dirs/suite_movies-frozen/plot alone/seed0/latest',
            )
        ],
    ),
)
