"""CMX between two MiT-B0 streams, NYU Depth V2.

Run:     python tools/train.py configs/cmx/cmx_mit-b0_2xb4-40k_nyudv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyudv2_480x640.py',
    '../_base_/models/segmentor_mit-b0.py',
    '../_base_/schedules/tokenfusion_40k.py',
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
