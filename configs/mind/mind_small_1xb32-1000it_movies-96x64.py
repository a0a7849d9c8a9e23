"""MIND: a head for poster, plot and both, taught by uni-modal teachers, movies.

Run:     python tools/train.py configs/mind/mind_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         its two teachers: python tools/train.py on the configs named below
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb32-1000it_movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(_base_.model, unimodal_heads=dict(combine='mean')),
    teachers=dict(
        image=[
            dict(
                config='configs/unimodal/image_small_1xb32-1000it_movies-96x64.py',
                checkpoint='work_dirs/image_small_1xb32-1000it_movies-96x64/latest',
            )
        ],
        text=[
            dict(
                config='configs/unimodal/text_small_1xb32-1000it_movies-96x64.py',
                checkpoint='work_dirs/text_small_1xb32-1000it_movies-96x64/latest',
            )
        ],
    ),
)
