"""MANGO with the paper's block, L = 2, at strides 16 and 32 of two MiT-B0 streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-l2_mit-b0_1xb8-20k_nyuv2-mini-256x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    not measured
"""

_base_ = '../_base_/settings/mit-b0_1xb8-20k_nyuv2-mini-256x256.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=8, depth=2)))
