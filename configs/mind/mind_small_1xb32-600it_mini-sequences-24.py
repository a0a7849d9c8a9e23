"""MIND: a head for every sequence and one for all, taught by uni-modal teachers, generated sequences.

Run:     python tools/train.py configs/mind/mind_small_1xb32-600it_mini-sequences-24.py
Needs:   data/mini_sequences: python tools/prepare/mini_sequences.py
         its three teachers: python tools/train.py on the configs named below
Ours:    MAE 0.861 ± 0.158, correlation 0.779 ± 0.070, 3 seeds; docs/sequences.md
"""

_base_ = '../concat/concat_small_1xb32-600it_mini-sequences-24.py'
model = dict(
    _delete_=True,
    type='mango_mm.MIND',
    student=dict(_base_.model, unimodal_heads=dict(combine='mean')),
    teachers=dict(
        image=[
            dict(
                config='configs/unimodal/image_small_1xb32-600it_mini-sequences-24.py',
                checkpoint='work_dirs/image_small_1xb32-600it_mini-sequences-24/latest',
            )
        ],
        signal=[
            dict(
                config='configs/unimodal/signal_small_1xb32-600it_mini-sequences-24.py',
                checkpoint='work_dirs/signal_small_1xb32-600it_mini-sequences-24/latest',
            )
        ],
        text=[
            dict(
                config='configs/unimodal/text_small_1xb32-600it_mini-sequences-24.py',
                checkpoint='work_dirs/text_small_1xb32-600it_mini-sequences-24/latest',
            )
        ],
    ),
)
