"""MIND: heads for RGB, depth and both on pretrained EfficientNet-Lite0, taught by uni-modal teachers, NYU Depth V2 mini.

Run:     python tools/train.py configs/mind/mind_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
         its two teachers: python tools/train.py on the configs named below
Ours:    pixel acc / mean acc / mIoU 66.21 ± 0.50 / 39.99 ± 1.16 / 29.40 ± 0.98, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(
        _base_.model,
        decode_head=dict(
            type='mango_mm.EnsembleHead',
            combine='fused',
            shared=False,
            modalities=_base_.modalities,
            head=_base_.model.decode_head,
        ),
    ),
    teachers=dict(
        rgb=[
            dict(
                config='configs/unimodal/rgb_lite0_1xb8-900it_nyuv2-mini-192x256.py',
                checkpoint='work_dirs/rgb_lite0_1xb8-900it_nyuv2-mini-192x256/latest',
            )
        ],
        depth=[
            dict(
                config='configs/unimodal/depth_lite0_1xb8-900it_nyuv2-mini-192x256.py',
                checkpoint='work_dirs/depth_lite0_1xb8-900it_nyuv2-mini-192x256/latest',
            )
        ],
    ),
)
