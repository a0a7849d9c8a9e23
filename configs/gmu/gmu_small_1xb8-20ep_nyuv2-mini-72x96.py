"""GMU (gated multimodal unit) between two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/gmu/gmu_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 54.27 ± 0.53 / 19.86 ± 0.64 / 12.60 ± 0.34, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='GatedFusion')))
