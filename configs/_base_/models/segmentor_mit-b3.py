# Two MiT-B3 streams, fusion at strides 16 and 32, concatenation at 4 and 8, SegFormer's head.
_base_ = './segmentor_mit-b0.py'
model = dict(
    backbone=dict(
        backbone=dict(
            embed_dims=64,
            num_layers=[3, 4, 18, 3],
            # ImageNet weights enter here, into every stream; off by default:
            # init_cfg=dict(type='Pretrained', checkpoint='mit_b3.pth'),
        ),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
)
