"""CMX between two MiT-B3 streams, NYU Depth V2.

Run:     python tools/train.py configs/cmx/cmx_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 54.4 with MiT-B2, 56.9 with MiT-B5, multi-scale and flip, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(
    neck=dict(
        stages=[0, 1, 2, 3],
        fusion=[dict(type='CMXFusion', num_heads=heads) for heads in (1, 2, 5, 8)],
    )
)
