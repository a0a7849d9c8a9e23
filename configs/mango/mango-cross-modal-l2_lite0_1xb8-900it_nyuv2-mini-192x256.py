"""MANGO with cross-modal couplings, starting as concatenation, pretrained EfficientNet-Lite0 streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-cross-modal-l2_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
Ours:    pixel acc / mean acc / mIoU 66.77 ± 0.47 / 41.71 ± 1.28 / 30.72 ± 0.99, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(
    neck=dict(
        fusion=dict(
            type='MangoFusion',
            window=(6, 8),
            depth=2,
            recipe='cross_modal',
            normalize='restore',
            layers=dict(gate_init=0.0, num_heads=4),
        )
    )
)
