# Weights, gradients and moments shared out over processes, one block of the flow at a time. Put it
# behind another config: _base_ = ['../ablations/mango-l16_....py', '../_base_/fsdp.py'].
strategy = dict(
    type='mango_mm.FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', auto_wrap_policy='mango_mm.shard_blocks'
    ),
    state_dict_cfg='full',  # checkpoints that any number of processes loads, and tools/test.py
)
