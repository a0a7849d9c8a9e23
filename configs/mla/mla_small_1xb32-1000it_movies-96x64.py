"""MLA: the modalities in turn through one head, movies.

Run:     python tools/train.py configs/mla/mla_small_1xb32-1000it_movies-96x64.py
Needs:   $MANGO_DATA_ROOT/movies (default ../shared/data/movies) in the layout of MM-IMDB
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb32-1000it_movies-96x64.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student=dict(
        _base_.model,
        fusion=None,
        unimodal_heads=dict(combine='entropy', shared=True),
    ),
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
