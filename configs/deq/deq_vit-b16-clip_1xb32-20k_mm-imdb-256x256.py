"""DEQ-Fusion, MM-IMDB.

Run:     python tools/train.py configs/deq/deq_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16-clip_1xb32-20k_mm-imdb-256x256.py'
model = dict(pool='before', fusion=dict(type='DEQFusion'))
