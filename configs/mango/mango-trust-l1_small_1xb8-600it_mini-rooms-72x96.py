"""MANGO that knows its sensors: heads weighted by which work, generated rooms.

Run:     python tools/train.py configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py --train 300
Ours:    mIoU 79.2, 55.4 over eight failures, seed 0, 240 + 60 rooms; docs/trust.md
"""

_base_ = './mango-cross-modal-l1_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mango_mm.EnsembleHead',
        combine='trust',
        shared=False,
        modalities={{_base_.modalities}},
        head={{_base_.model.decode_head}},
        trust=dict(grid=(3, 4), directions=32),
    )
)
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.LabelCheckHook'),
    dict(type='mango_mm.EstimateStatisticsHook'),
    dict(type='mango_mm.TrustHook', hold_out=60, iterations=600),
]
