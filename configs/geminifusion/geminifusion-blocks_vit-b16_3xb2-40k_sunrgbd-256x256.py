"""GeminiFusion in every block of a ViT-B/16 whose weights both modalities share, SUN RGB-D.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_vit-b16_3xb2-40k_sunrgbd-256x256.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/sunrgbd_256x256.py',
    '../_base_/models/segmentor_vit-b16_blocks.py',
    '../_base_/schedules/tokenfusion_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        fusion=dict(type='PixelwiseAttention'),
        blocks=r'layers\.\d+',
        read='ln1',
        write='attn.proj_drop',  # before the drop path and the residual sum
    ),
    decode_head=dict(head=dict(num_classes={{_base_.num_classes}})),
)
