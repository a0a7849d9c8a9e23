"""MLA: the modalities in turn through one head, generated films.

Run:     python tools/train.py configs/mla/mla_small_1xb32-600it_mini-movies-96x64.py
Needs:   data/mini_movies, written by tools/demo_imdb.py
Ours:    docs/fusions.md
"""

_base_ = '../mla/mla-joint_small_1xb32-600it_mini-movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student={{_base_.model}},
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
