"""MANGO with cross-modal couplings, L = 2, and a convolutional reduction of the latent, at stride 8 of two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-cross-modal-embed-l2_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    mIoU 13.10, one seed (0), 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    neck=dict(
        fusion=dict(
            type='MangoFusion',
            window=(9, 12),
            depth=2,
            reduction='embed',
            recipe='cross_modal',
            layers=dict(num_heads=4),
        ),
    ),
)
