"""CMX between two MiT-B3 streams, SUN RGB-D.

Run:     python tools/train.py configs/cmx/cmx_mit-b3_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   mIoU 49.7 with MiT-B2, 52.4 with MiT-B5, multi-scale and flip, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b3_2xb4-40k_sunrgbd-480x480.py'
model = dict(
    neck=dict(
        stages=[0, 1, 2, 3],
        fusion=[dict(type='CMXFusion', num_heads=heads) for heads in (1, 2, 5, 8)],
    )
)
