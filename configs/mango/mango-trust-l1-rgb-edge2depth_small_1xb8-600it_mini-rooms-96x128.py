"""MANGO that knows its sources: images weighted by which work, generated rooms.

Run:     python tools/train.py configs/mango/mango-trust-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy --train 300
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0222 / 0.0009 / 0.0294, one seed (0), 240 + 60 frames to train, 60 to validate; docs/trust.md
"""

_base_ = './mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
model = dict(unimodal_decoders=dict(combine='trust', trust=dict(grid=(3, 4))))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.TrustHook', hold_out=60),
]
