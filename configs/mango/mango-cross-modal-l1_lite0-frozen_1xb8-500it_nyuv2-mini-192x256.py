"""MANGO with cross-modal couplings on frozen EfficientNet-Lite0 features, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-cross-modal-l1_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
         work_dirs of configs/unimodal/rgb_lite0*.py and configs/unimodal/depth_lite0*.py
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py --views 3
Ours:    pixel acc / mean acc / mIoU 65.12 ± 0.55 / 40.98 ± 0.66 / 29.47 ± 1.01, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py'

model = dict(
    neck=dict(
        fusion=dict(
            type='MangoFusion',
            window=(6, 8),
            depth=1,
            recipe='cross_modal',
            normalize='restore',
            layers=dict(gate_init=0.0, num_heads=4),
        )
    )
)
