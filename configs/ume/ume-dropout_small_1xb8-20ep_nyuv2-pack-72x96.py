"""UME trained with modality dropout; the heads of what there is are averaged, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/ume/ume-dropout_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
Ours:    docs/missing_modalities.md
"""

_base_ = [
    '../_base_/datasets/nyuv2-pack_72x96_dropout.py',
    '../_base_/models/segmentor_small_heads.py',
    '../_base_/schedules/scratch_20ep_nyuv2-pack.py',
    '../_base_/missing_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    neck=None,
    decode_head=dict(combine='mean', shared=False, head=dict(num_classes={{_base_.num_classes}})),
)
