"""CMX between two MiT-B3 streams, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/cmx/cmx_mit-b3_1xb8-20k_nyuv2-pack-256x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_256x256.py',
    '../_base_/models/segmentor_mit-b3.py',
    '../_base_/schedules/scratch_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        stages=[0, 1, 2, 3],
        fusion=[dict(type='CMXFusion', num_heads=heads) for heads in (1, 2, 5, 8)],
    ),
)
