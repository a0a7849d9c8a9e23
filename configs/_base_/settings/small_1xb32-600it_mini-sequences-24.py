# Small encoders of three sequences, on generated sentiments; the leaf says how they are fused.
_base_ = [
    '../datasets/mini-sequences_24.py',
    '../models/sequences_small.py',
    '../schedules/sequences_600it.py',
    '../sequence_runtime.py',
]
model = dict(
    data_preprocessor={{_base_.data_preprocessor}}, num_classes={{_base_.num_classes}}
)
