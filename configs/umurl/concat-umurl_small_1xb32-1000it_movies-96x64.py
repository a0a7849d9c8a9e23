"""Concatenation of two encoders that UmURL has pretrained, movies.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
         python tools/train.py configs/umurl/umurl_small_1xb32-1000it_movies-96x64.py
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb32-1000it_movies-96x64.py'
model = dict(
    encoders=dict(
        image=dict(
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-1000it_movies-96x64/iter_1000.pth',
                prefix='student.encoders.image.',
            ),
        ),
        text=dict(
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-1000it_movies-96x64/iter_1000.pth',
                prefix='student.encoders.text.',
            ),
        ),
    ),
)
