"""MANGO with the paper's block, L = 2, at stride 8 of two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-l2_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 55.21 ± 0.23 / 20.77 ± 0.58 / 13.28 ± 0.35, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(9, 12), depth=2)))
