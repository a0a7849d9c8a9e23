# Small encoders of poster and plot, on generated movies; the leaf says how they are fused.
_base_ = [
    '../datasets/mini-movies_96x64.py',
    '../models/classifier_small.py',
    '../schedules/movies_600it.py',
    '../classification_runtime.py',
]
# Generated plots are made of 48 words.
model = dict(
    num_classes={{_base_.num_classes}},
    encoders=dict(text=dict(vocabulary=dict(size=200))),
)
