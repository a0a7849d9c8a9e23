"""GeminiFusion in every block of a MiT-B3 whose weights both modalities share, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_mit-b3_1xb8-20k_nyuv2-pack-256x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_256x256.py',
    '../_base_/models/segmentor_mit-b3_blocks.py',
    '../_base_/schedules/scratch_20k.py',
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
