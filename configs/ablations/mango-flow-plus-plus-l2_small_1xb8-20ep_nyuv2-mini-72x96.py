"""The flow's layers: Flow++, L = 2, two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/ablations/mango-flow-plus-plus-l2_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Paper:   Table 4, mIoU NYUDv2 54.2 at its own size, claimed by its authors
Ours:    pixel acc / mean acc / mIoU 54.27 / 20.19 / 12.54, one seed (0), 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    neck=dict(
        fusion=dict(
            type='MangoFusion',
            window=(9, 12),
            depth=2,
            recipe='flow_plus_plus',
        ),
    ),
)
