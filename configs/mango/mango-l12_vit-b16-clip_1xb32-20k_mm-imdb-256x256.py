"""MANGO with the paper's block, L = 12, MM-IMDB.

Run:     python tools/train.py configs/mango/mango-l12_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
Paper:   micro / macro F1 71.7 / 68.2 (the authors' claim, not reproduced)
"""

_base_ = [
    '../_base_/datasets/mm-imdb_256x256.py',
    '../_base_/models/classifier_vit-clip.py',
    '../_base_/schedules/films_20k.py',
    '../_base_/classification_runtime.py',
]
model = dict(
    num_classes={{_base_.num_classes}},
    fusion=dict(
        _delete_=True,
        type='MangoFusion',
        num_tokens=[256, 77],
        depth=12,
        reduction='sequence',
    ),
)
