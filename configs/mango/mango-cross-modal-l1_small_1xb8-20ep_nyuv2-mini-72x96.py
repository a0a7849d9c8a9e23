"""MANGO with cross-modal couplings, L = 1, at stride 8 of two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-cross-modal-l1_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 54.69 ± 0.37 / 20.39 ± 0.69 / 13.11 ± 0.41, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    neck=dict(
        fusion=dict(
            type='MangoFusion',
            window=(9, 12),
            depth=1,
            recipe='cross_modal',
            layers=dict(num_heads=4),
        ),
    ),
)
