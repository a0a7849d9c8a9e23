"""TokenFusion in every block of a MiT-B3 whose weights both modalities share, SUN RGB-D.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-blocks_mit-b3_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   mIoU 53.0 with MiT-B3, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/blocks_mit-b3_2xb4-40k_sunrgbd-480x480.py'
model = dict(
    backbone=dict(
        fusion=dict(type='TokenExchange'),
        blocks=r'layers\.(\d+)\.1\.\d+',  # one scorer per stage
        read='norm1',
        write='attn.proj_drop',  # before the residual sum
    )
)
