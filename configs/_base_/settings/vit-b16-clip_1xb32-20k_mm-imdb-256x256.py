# A ViT-B/16 and CLIP's text encoder, on MM-IMDB; the leaf says how they are fused.
_base_ = [
    '../datasets/mm-imdb_256x256.py',
    '../models/classifier_vit-clip.py',
    '../schedules/movies_20k.py',
    '../classification_runtime.py',
]
model = dict(num_classes={{_base_.num_classes}})
