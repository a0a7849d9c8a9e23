"""GeminiFusion in every block of a ViT-B/16 whose weights both modalities share, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_vit-b16_1xb8-40k_nyuv2-pack-256x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_256x256.py',
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
