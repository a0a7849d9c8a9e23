"""Concatenation on frozen EfficientNet-Lite0 features, NYU Depth V2 mini.

Run:     python tools/train.py configs/concat/concat_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
         work_dirs of configs/unimodal/rgb_lite0*.py and configs/unimodal/depth_lite0*.py
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py --views 3
Ours:    pixel acc / mean acc / mIoU 64.79 ± 0.68 / 40.34 ± 1.01 / 28.90 ± 1.15, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py'
model = dict(neck=dict(fusion=dict(type='ConcatFusion')))
