custom_imports = dict(imports=['mango_mm'], allow_failed_imports=False)
default_scope = 'mmseg'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='mango_mm.MultimodalSegVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
    dict(type='mango_mm.LabelCheckHook'),
    dict(type='mango_mm.EstimateStatisticsHook'),
]
tta_model = dict(type='SegTTAModel')
