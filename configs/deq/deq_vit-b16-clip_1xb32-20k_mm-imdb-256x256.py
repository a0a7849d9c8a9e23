"""DEQ-Fusion, MM-IMDB.

Run:     python tools/train.py configs/deq/deq_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
"""

_base_ = [
    '../_base_/datasets/mm-imdb_256x256.py',
    '../_base_/models/classifier_vit-clip.py',
    '../_base_/schedules/films_20k.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    pool='before',
    fusion=dict(_delete_=True, type='DEQFusion'),
)
