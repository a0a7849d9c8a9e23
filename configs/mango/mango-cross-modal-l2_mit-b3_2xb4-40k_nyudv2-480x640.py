"""MANGO with cross-modal couplings, L = 2, at strides 16 and 32 of two MiT-B3 streams, NYU Depth V2.

Run:     python tools/train.py configs/mango/mango-cross-modal-l2_mit-b3_2xb4-40k_nyudv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Ours:    see configs/mango/README.md; empty there until measured
"""

_base_ = [
    '../_base_/datasets/nyudv2_480x640.py',
    '../_base_/models/segmentor_mit-b3.py',
    '../_base_/schedules/tokenfusion_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=8,
            depth=2,
            recipe='cross_modal',
            layers=dict(num_heads=4),
        ),
    ),
)
