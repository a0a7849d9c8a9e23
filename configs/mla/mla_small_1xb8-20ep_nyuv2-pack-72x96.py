"""MLA: the modalities in turn through one head, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/mla/mla_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    docs/fusions.md
"""

_base_ = '../mla/mla-joint_small_1xb8-20ep_nyuv2-pack-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MLA',
    student={{_base_.model}},
)
model_wrapper_cfg = dict(type='mango_mm.AlternatingDataParallel')
