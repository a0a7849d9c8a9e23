"""MANGO with the paper's block, L = 1, RGB + occlusion edges to distance, generated rooms.

Run:     python tools/train.py configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0225 / 0.0008 / 0.0289, one seed (0), 240 frames to train, 60 to validate
"""

_base_ = '../_base_/settings/rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(12, 16), depth=1)))
