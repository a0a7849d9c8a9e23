"""Concatenation of two encoders that UmURL has pretrained, generated films.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
         python tools/train.py configs/umurl/umurl_small_1xb32-600it_mini-movies-96x64.py
Ours:    docs/fusions.md
"""

_base_ = '../concat/concat_small_1xb32-600it_mini-movies-96x64.py'
model = dict(
    encoders=dict(
        image=dict(
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-600it_mini-movies-96x64/iter_600.pth',
                prefix='student.encoders.image.',
            ),
        ),
        text=dict(
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-600it_mini-movies-96x64/iter_600.pth',
                prefix='student.encoders.text.',
            ),
        ),
    ),
)
