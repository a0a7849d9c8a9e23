"""Depth alone, one small MiT stream, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/depth_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 51.92 ± 0.87 / 15.69 ± 0.44 / 9.80 ± 0.41, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(backbone=dict(use=['depth']), neck=None)
