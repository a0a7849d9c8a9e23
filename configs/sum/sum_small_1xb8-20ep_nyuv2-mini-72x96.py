"""Sum of two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/sum/sum_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 54.30 ± 0.37 / 20.05 ± 0.18 / 12.64 ± 0.23, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='SumFusion')))
