"""RGB alone, a pretrained EfficientNet-Lite0, NYU Depth V2 mini.

Run:     python tools/train.py configs/unimodal/rgb_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
Ours:    pixel acc / mean acc / mIoU 61.97 ± 0.37 / 33.69 ± 0.80 / 23.68 ± 0.46, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(backbone=dict(use=['rgb']), neck=None)
