"""The flow's layers: AttnFlow, L = 2, two small MiT streams, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/ablations/mango-attn-flow-l2_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Paper:   Table 4, mIoU NYUDv2 56.5 at its own size, claimed by its authors
Ours:    not measured
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_72x96.py',
    '../_base_/models/segmentor_small.py',
    '../_base_/schedules/scratch_20ep_nyuv2-pack.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=(9, 12),
            depth=2,
            recipe='attn_flow',
        ),
    ),
)
