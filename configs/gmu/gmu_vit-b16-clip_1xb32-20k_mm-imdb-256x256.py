"""Gated multimodal unit, MM-IMDB.

Run:     python tools/train.py configs/gmu/gmu_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
Paper:   weighted F1 61.7, claimed by its authors (quoted in BM-NAS)
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16-clip_1xb32-20k_mm-imdb-256x256.py'
model = dict(pool='before', fusion=dict(type='GatedFusion'))
