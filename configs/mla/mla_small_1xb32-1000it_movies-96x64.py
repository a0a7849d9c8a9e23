"""MLA: the modalities in turn through one head, films.

Run:     python tools/train.py configs/mla/mla_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies), see its README
Ours:    docs/fusions.md
"""

_base_ = '../mla/mla-joint_small_1xb32-1000it_movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student={{_base_.model}},
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
