"""Depth alone, a pretrained EfficientNet-Lite0, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/depth_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
Ours:    pixel acc / mean acc / mIoU 59.55 ± 0.31 / 28.72 ± 1.59 / 19.87 ± 1.28, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(backbone=dict(use=['depth']), neck=None)
