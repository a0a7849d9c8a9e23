"""Late fusion: a head for each modality, MM-IMDB.

Run:     python tools/train.py configs/late/late_vit-b16-clip_1xb32-20k_mm-imdb-256x256.py
Needs:   data/mmimdb, checked by tools/prepare/mm_imdb.py; CLIP weights (MANGO_CLIP); a GPU
Paper:   micro / macro F1 59.6 / 51.0 by MultiBench, as MANGO's Table 3 quotes it
Ours:    not measured
"""

_base_ = '../_base_/settings/vit-b16-clip_1xb32-20k_mm-imdb-256x256.py'
model = dict(fusion=None)
