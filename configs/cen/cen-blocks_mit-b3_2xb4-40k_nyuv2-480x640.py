"""Channel exchange at every layer norm of a MiT-B3 whose weights both modalities share, NYU Depth V2.

Run:     python tools/train.py configs/cen/cen-blocks_mit-b3_2xb4-40k_nyuv2-480x640.py
Needs:   data/nyu_depth_v2, see mango_mm/datasets/nyu_depth_v2.py
Paper:   mIoU 52.5, as MANGO's Table 1 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/blocks_mit-b3_2xb4-40k_nyuv2-480x640.py'
model = dict(
    backbone=dict(fusion=dict(type='ChannelExchange'), blocks=r'layers\.\d+\.1\.\d+\.norm[12]')
)
