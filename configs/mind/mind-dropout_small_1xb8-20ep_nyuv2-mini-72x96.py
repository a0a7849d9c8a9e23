"""MIND trained with modality dropout: a head for RGB, depth and both, taught by uni-modal teachers, NYU Depth V2 mini.

Run:     python tools/train.py configs/mind/mind-dropout_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
         its two teachers: python tools/train.py on the configs named below
Ours:    mIoU of both / RGB alone / depth alone 11.55 ± 0.13 / 6.63 ± 0.32 / 9.84 ± 0.16, 2 seeds; docs/missing_modalities.md
"""

_base_ = '../_base_/settings/heads-dropout_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(
        _base_.model,
        decode_head=dict(_base_.model.decode_head, combine='fused', shared=False),
    ),
    teachers=dict(
        rgb=[
            dict(
                config='configs/unimodal/rgb_small_1xb8-20ep_nyuv2-mini-72x96.py',
                checkpoint='work_dirs/rgb_small_1xb8-20ep_nyuv2-mini-72x96/latest',
            )
        ],
        depth=[
            dict(
                config='configs/unimodal/depth_small_1xb8-20ep_nyuv2-mini-72x96.py',
                checkpoint='work_dirs/depth_small_1xb8-20ep_nyuv2-mini-72x96/latest',
            )
        ],
    ),
)
