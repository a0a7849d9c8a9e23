"""Concatenation of three averaged sequences, generated sequences.

Run:     python tools/train.py configs/concat/concat_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    not measured
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(pool='before', fusion=dict(type='ConcatFusion'))
