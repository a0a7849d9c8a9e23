# Frozen EfficientNet-Lite0 and MiniLM, their features from a cache; a fusion and a head are trained.
_base_ = [
    '../datasets/movies_192x128.py',
    '../models/classifier_lite0-minilm.py',
    '../schedules/movies_1000it.py',
    '../classification_runtime.py',
]
# tools/prepare/cache_features.py makes it; with '' posters and plots are read: the same, slower.
feature_cache = '{{$MANGO_CACHE:data/cache}}/lite0-minilm_movies-192x128'
model = dict(
    # Chosen on dev by concatenation: 2978 movies are learned by heart without it.
    encoders=dict(image=dict(dropout=0.5), text=dict(dropout=0.5)),
    num_classes={{_base_.num_classes}},
)
# A validation costs more than a hundred iterations.
train_cfg = dict(val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
