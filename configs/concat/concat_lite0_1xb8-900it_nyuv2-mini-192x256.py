"""Concatenation of two pretrained EfficientNet-Lite0 streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/concat/concat_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
Ours:    pixel acc / mean acc / mIoU 66.16 ± 0.65 / 40.06 ± 0.65 / 28.85 ± 0.62, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
