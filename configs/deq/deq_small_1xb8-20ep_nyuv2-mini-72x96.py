"""DEQ-Fusion between two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/deq/deq_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 53.76 ± 0.32 / 19.30 ± 0.12 / 12.08 ± 0.22, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='DEQFusion')))
