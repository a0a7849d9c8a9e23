"""MANGO trained with modality dropout; what is missing is inferred by the flow, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/mango/mango-l2-dropout-infer_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    docs/missing_modalities.md
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_72x96_dropout.py',
    '../_base_/models/segmentor_small.py',
    '../_base_/schedules/scratch_20ep_nyuv2-pack.py',
    '../_base_/missing_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    decode_head=dict(num_classes={{_base_.num_classes}}),
    neck=dict(
        fusion=dict(
            _delete_=True, type='MangoFusion', window=(9, 12), depth=2, missing='infer'
        ),
    ),
)
