"""Concatenation, encoders pretrained by UmURL, generated sequences.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
         work_dirs/umurl_small_1xb32-600it_mini-sequences-24/iter_600.pth: train that config first
Ours:    MAE 0.805 ± 0.029, correlation 0.770 ± 0.029, 3 seeds; docs/sequences.md
"""

_base_ = '../concat/concat_small_1xb32-600it_mini-sequences-24.py'
model = dict(
    encoders=[
        dict(
            _base_.model.encoders[0],
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-600it_mini-sequences-24/iter_600.pth',
                prefix='student.encoders.signal.',
            ),
        ),
        dict(
            _base_.model.encoders[1],
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-600it_mini-sequences-24/iter_600.pth',
                prefix='student.encoders.text.',
            ),
        ),
        dict(
            _base_.model.encoders[2],
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/umurl_small_1xb32-600it_mini-sequences-24/iter_600.pth',
                prefix='student.encoders.image.',
            ),
        ),
    ],
)
