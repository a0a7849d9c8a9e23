# Small encoders of poster and plot, on movies; the leaf says how they are fused.
_base_ = [
    '../datasets/movies_96x64.py',
    '../models/classifier_small.py',
    '../schedules/movies_1000it.py',
    '../classification_runtime.py',
]
model = dict(num_classes={{_base_.num_classes}})
