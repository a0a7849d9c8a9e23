"""MANGO with the paper's block, L = 2, on the pixels of 8 x 8 patches, no encoder, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/ablations/mango-no-latent-l2_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    docs/fusions.md
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_72x96.py',
    '../_base_/models/segmentor_small.py',
    '../_base_/schedules/scratch_20ep_nyuv2-pack.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(backbone=dict(_delete_=True, type='PatchPixels', patch_size=8)),
    decode_head=dict(num_classes={{_base_.num_classes}}, in_channels=[192], in_index=[0]),
    neck=dict(
        in_channels=[192],
        stages=[0],
        dim=64,
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=(9, 12),
            depth=2,
        ),
    ),
)
