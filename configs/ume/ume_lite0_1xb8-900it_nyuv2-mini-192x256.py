"""UME: a pretrained EfficientNet-Lite0 and a head per modality that share nothing, predictions averaged, NYU Depth V2 mini.

Run:     python tools/train.py configs/ume/ume_lite0_1xb8-900it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
Ours:    pixel acc / mean acc / mIoU 64.96 ± 0.32 / 33.95 ± 0.86 / 25.57 ± 0.84, 5 seeds; docs/results.md
"""

_base_ = '../_base_/settings/lite0_1xb8-900it_nyuv2-mini-192x256.py'
model = dict(
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='mango_mm.EnsembleHead',
        combine='mean',
        shared=False,
        modalities={{_base_.modalities}},
        head={{_base_.model.decode_head}},
    ),
)
