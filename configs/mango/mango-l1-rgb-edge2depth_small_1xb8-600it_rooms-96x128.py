"""MANGO with the paper's block, L = 1, RGB + occlusion edges to distance, generated rooms.

Run:     python tools/train.py configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0214 / 0.0008 / 0.0283, one seed (0), 240 frames to train, 60 to validate
"""

_base_ = [
    '../_base_/datasets/rgb-edge2depth_rooms-96x128.py',
    '../_base_/models/translator_small.py',
    '../_base_/schedules/translation_600it.py',
    '../_base_/translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
    neck=dict(
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=(12, 16),
            depth=1,
        ),
    ),
)
