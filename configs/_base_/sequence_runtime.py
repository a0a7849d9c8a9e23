# Of sequences: no vocabulary, no thresholds; statistics are estimated where a modality asks for it.
_base_ = './classification_runtime.py'
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.EstimateStatisticsHook'),
]
