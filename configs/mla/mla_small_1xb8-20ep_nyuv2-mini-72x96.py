"""MLA: the modalities in turn through one head, NYU Depth V2 mini.

Run:     python tools/train.py configs/mla/mla_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    not measured
"""

_base_ = '../_base_/settings/heads_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student=dict(
        _base_.model,
        neck=None,
        decode_head=dict(_base_.model.decode_head, combine='entropy', shared=True),
    ),
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
