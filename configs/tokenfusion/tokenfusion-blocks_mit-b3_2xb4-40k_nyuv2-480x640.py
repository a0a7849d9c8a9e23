"""TokenFusion in every block of a MiT-B3 whose weights both modalities share, NYU Depth V2.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-blocks_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 54.2 with MiT-B3, claimed by its authors
Ours:    not measured
"""

_base_ = '../_base_/settings/blocks_mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(
    backbone=dict(
        fusion=dict(type='TokenExchange'),
        blocks=r'layers\.(\d+)\.1\.\d+',  # one scorer per stage
        read='norm1',
        write='attn.proj_drop',  # before the residual sum
    )
)
