"""Text alone, generated sequences.

Run:     python tools/train.py configs/unimodal/text_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 0.974 ± 0.047, correlation 0.757 ± 0.025, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(encoders=[_base_.model.encoders[1]], fusion=None)
