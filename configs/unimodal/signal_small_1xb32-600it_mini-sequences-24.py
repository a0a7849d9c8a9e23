"""Signal alone, generated sequences.

Run:     python tools/train.py configs/unimodal/signal_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 1.748 ± 0.017, correlation -0.033 ± 0.039, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(encoders=[_base_.model.encoders[0]], fusion=None)
