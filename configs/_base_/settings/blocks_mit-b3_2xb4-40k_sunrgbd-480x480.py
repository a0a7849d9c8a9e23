# One MiT-B3 for both modalities, fused in its blocks, on SUN RGB-D.
_base_ = [
    '../datasets/sunrgbd_480x480.py',
    '../models/segmentor_mit-b3_blocks.py',
    '../schedules/tokenfusion_40k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    decode_head=dict(
        modalities={{_base_.modalities}}, head=dict(num_classes={{_base_.num_classes}})
    ),
)
