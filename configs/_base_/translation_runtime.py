custom_imports = dict(imports=['mango_mm'], allow_failed_imports=False)
default_scope = 'mmagic'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(type='mmengine.LogProcessor', by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    # mmagic registers this one with mmengine: a prefix would not find it.
    dict(type='BasicVisualizationHook', interval=dict(val=5, test=1)),
]
