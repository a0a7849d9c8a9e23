"""MCMulT, on the ground of its paper: three sequences of unequal lengths, generated sequences.

Run:     python tools/train.py configs/mcmult/mcmult_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 0.657 ± 0.112, correlation 0.757 ± 0.061, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(fusion=dict(type='MCMulTFusion', depth=2, reduction='sequence'))
