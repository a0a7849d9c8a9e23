"""Channel exchange at every layer norm of a small MiT whose weights both modalities share, NYU Depth V2 mini.

Run:     python tools/train.py configs/cen/cen-blocks_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 51.88 ± 0.29 / 15.30 ± 0.17 / 9.52 ± 0.10, 3 seeds, 1305 iterations of an earlier version (outdated); docs/fusions.md
"""

_base_ = '../_base_/settings/blocks_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    backbone=dict(fusion=dict(type='ChannelExchange'), blocks=r'layers\.\d+\.1\.\d+\.norm[12]')
)
