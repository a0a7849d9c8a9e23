"""CMX once, at the neck, between two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/cmx/cmx_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 54.34 ± 0.72 / 20.35 ± 1.17 / 12.97 ± 0.87, 3 seeds, 1305 iterations of an earlier version (outdated); docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='CMXFusion', num_heads=2)))
