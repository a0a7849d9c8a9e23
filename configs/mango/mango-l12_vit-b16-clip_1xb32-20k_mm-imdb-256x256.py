"""MANGO with the paper's block, L = 12, MM-IMDB.

Run:     python tools/train.py configs/mango/mango-l12_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
Paper:   micro / macro F1 71.7 / 68.2 (the authors' claim, not reproduced)
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16-clip_1xb32-20k_mm-imdb-256x256.py'
model = dict(
    fusion=dict(type='MangoFusion', num_tokens=[256, 77], depth=12, reduction='sequence'),
)
