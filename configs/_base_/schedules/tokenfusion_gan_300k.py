# TokenFusion's translation: 300 epochs of 1000 views, one at a time, constant learning rate.
adam = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
optim_wrapper = dict(constructor='MultiOptimWrapperConstructor', generator=adam, discriminator=adam)
# Each of the two networks averages its own gradients over processes.
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='mmengine.IterTimerHook'),  # mmagic's own needs its MultiValLoop
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    checkpoint=dict(type='mango_mm.WholeCheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
