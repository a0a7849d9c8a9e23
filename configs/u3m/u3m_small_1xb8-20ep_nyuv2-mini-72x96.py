"""U3M between two small MiT streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/u3m/u3m_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 54.65 ± 0.65 / 20.18 ± 1.31 / 12.77 ± 0.89, 3 seeds, 1305 iterations; docs/fusions.md
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='U3MFusion')))
