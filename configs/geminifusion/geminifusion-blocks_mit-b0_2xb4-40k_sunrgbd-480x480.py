"""GeminiFusion in every block of a MiT-B0 whose weights both modalities share, SUN RGB-D.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_mit-b0_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/sunrgbd_480x480.py',
    '../_base_/models/segmentor_mit-b0_blocks.py',
    '../_base_/schedules/tokenfusion_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        fusion=dict(type='PixelwiseAttention'),
        blocks=r'layers\.\d+\.1\.\d+',
        read='norm1',
        write='attn.proj_drop',  # before the drop path and the residual sum
    ),
    decode_head=dict(head=dict(num_classes={{_base_.num_classes}})),
)
