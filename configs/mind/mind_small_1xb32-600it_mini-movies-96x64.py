"""MIND: a head for poster, plot and both, taught by uni-modal teachers, generated films.

Run:     python tools/train.py configs/mind/mind_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
         its two teachers: python tools/train.py on the configs named below
Ours:    docs/fusions.md
"""

_base_ = '../mind/multi-head_small_1xb32-600it_mini-movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student={{_base_.model}},
    teachers=dict(
        image=[
            dict(
                config='configs/unimodal/image_small_1xb32-600it_mini-movies-96x64.py',
                checkpoint='work_dirs/image_small_1xb32-600it_mini-movies-96x64/latest',
            )
        ],
        text=[
            dict(
                config='configs/unimodal/text_small_1xb32-600it_mini-movies-96x64.py',
                checkpoint='work_dirs/text_small_1xb32-600it_mini-movies-96x64/latest',
            )
        ],
    ),
)
