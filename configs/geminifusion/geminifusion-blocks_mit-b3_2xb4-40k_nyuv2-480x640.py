"""GeminiFusion in every block of a MiT-B3 whose weights both modalities share, NYU Depth V2.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 56.8 with MiT-B3, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/blocks_mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(
    backbone=dict(
        fusion=dict(type='PixelwiseAttention'),
        blocks=r'layers\.\d+\.1\.\d+',
        read='norm1',
        write='attn.proj_drop',  # before the drop path and the residual sum
    )
)
