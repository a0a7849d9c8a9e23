"""MANGO that knows its sensors: heads weighted by which work, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-trust-l1_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2)
         data/encoders: python tools/prepare/encoders.py efficientnet-lite0
         work_dirs of configs/unimodal/rgb_lite0*.py and configs/unimodal/depth_lite0*.py
         data/cache: python tools/prepare/cache_features.py configs/concat/concat_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py --views 3 --plain
Ours:    pixel acc / mean acc / mIoU 65.13 ± 0.35 / 40.13 ± 0.89 / 29.52 ± 0.66, 5 seeds, encoders of one; docs/trust.md
"""

_base_ = './mango-cross-modal-l1_lite0-frozen_1xb8-500it_nyuv2-mini-192x256.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mango_mm.EnsembleHead',
        combine='trust',
        shared=False,
        modalities={{_base_.modalities}},
        head={{_base_.model.decode_head}},
        trust=dict(grid=(6, 8)),
    )
)
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.LabelCheckHook'),
    dict(type='mango_mm.EstimateStatisticsHook'),
    dict(type='mango_mm.TrustHook', hold_out=60, samples=2000),
]
