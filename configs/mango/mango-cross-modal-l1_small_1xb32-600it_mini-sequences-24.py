"""MANGO with cross-modal couplings, L = 1, all tokens of three sequences, generated sequences.

Run:     python tools/train.py configs/mango/mango-cross-modal-l1_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 0.389 ± 0.044, correlation 0.901 ± 0.015, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(
    fusion=dict(
        type='MangoFusion',
        num_tokens=[24, 12, 9],
        depth=1,
        recipe='cross_modal',
        layers=dict(num_heads=4),
        reduction='sequence',
    )
)
