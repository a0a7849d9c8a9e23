"""Image alone, generated sequences.

Run:     python tools/train.py configs/unimodal/image_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
Ours:    MAE 1.777 ± 0.020, correlation -0.041 ± 0.011, 3 seeds; docs/sequences.md
"""

_base_ = '../_base_/settings/small_1xb32-600it_mini-sequences-24.py'
model = dict(encoders=[_base_.model.encoders[2]], fusion=None)
