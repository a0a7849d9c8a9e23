"""CMX once, at the neck, between two small MiT streams, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/cmx/cmx_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_72x96.py',
    '../_base_/models/segmentor_small.py',
    '../_base_/schedules/scratch_20ep_nyuv2-pack.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        fusion=dict(_delete_=True, type='CMXFusion', num_heads=2),
    ),
)
