# Every validation and test again for RGB alone and for depth alone.
_base_ = './default_runtime.py'
custom_hooks = [
    dict(type='mango_mm.PanelHook'),
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.LabelCheckHook'),
    dict(type='mango_mm.MissingModalityHook', modalities=dict(rgb=3, depth=1)),
]
