# The encoders of the unimodal EfficientNet-Lite0 trainings, frozen, their features from a cache; a
# fusion and a head are trained on NYU Depth V2 mini.
_base_ = [
    '../datasets/nyuv2-mini_192x256.py',
    '../models/segmentor_lite0-frozen.py',
    '../schedules/frozen_500it.py',
    '../default_runtime.py',
]
# tools/prepare/cache_features.py makes it; with '' images are read: the same, slower.
feature_cache = '{{$MANGO_CACHE:data/cache}}/lite0_nyuv2-mini-192x256'
model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(modalities={{_base_.modalities}}),
    neck=dict(modalities={{_base_.modalities}}),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
