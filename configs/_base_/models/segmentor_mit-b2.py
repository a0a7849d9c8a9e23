# MiT-B2 streams, fusion at strides 16 and 32, concatenation at 4 and 8, SegFormer's head.
_base_ = './segmentor_mit-b3.py'
model = dict(backbone=dict(backbone=dict(num_layers=[3, 4, 6, 3])))
