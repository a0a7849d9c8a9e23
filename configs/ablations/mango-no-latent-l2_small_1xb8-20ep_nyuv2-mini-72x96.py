"""MANGO with the paper's block, L = 2, on the pixels of 8 x 8 patches, no encoder, NYU Depth V2 mini.

Run:     python tools/train.py configs/ablations/mango-no-latent-l2_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    backbone=dict(backbone=dict(_delete_=True, type='PatchPixels', patch_size=8)),
    neck=dict(
        in_channels=[192],
        stages=[0],
        dim=64,
        fusion=dict(type='MangoFusion', window=(9, 12), depth=2),
    ),
    decode_head=dict(in_channels=[192], in_index=[0]),
)
