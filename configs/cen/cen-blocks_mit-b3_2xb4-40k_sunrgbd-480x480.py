"""Channel exchange at every layer norm of a MiT-B3 whose weights both modalities share, SUN RGB-D.

Run:     python tools/train.py configs/cen/cen-blocks_mit-b3_2xb4-40k_sunrgbd-480x480.py
Needs:   data/sun_rgbd, see mango_mm/datasets/sun_rgbd.py
Paper:   mIoU 51.1, as MANGO's Table 1 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/blocks_mit-b3_2xb4-40k_sunrgbd-480x480.py'
model = dict(
    backbone=dict(fusion=dict(type='ChannelExchange'), blocks=r'layers\.\d+\.1\.\d+\.norm[12]')
)
