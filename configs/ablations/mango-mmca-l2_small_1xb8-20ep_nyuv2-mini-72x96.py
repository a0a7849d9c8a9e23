"""The flow's layers: MMCA alone, L = 2, two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/ablations/mango-mmca-l2_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Paper:   Table 5, mIoU NYUDv2 56.4 at its own size, claimed by its authors
Ours:    pixel acc / mean acc / mIoU 55.18 / 21.48 / 13.78, one seed (0), 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(9, 12), depth=2, recipe='mmca')))
