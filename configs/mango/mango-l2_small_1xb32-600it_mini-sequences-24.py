"""MANGO with the paper's block, L = 2, all tokens of three sequences, generated sequences.

Run:     python tools/train.py configs/mango/mango-l2_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 0.370 ± 0.014, correlation 0.919 ± 0.009, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(
    fusion=dict(type='MangoFusion', num_tokens=[24, 12, 9], depth=2, reduction='sequence')
)
