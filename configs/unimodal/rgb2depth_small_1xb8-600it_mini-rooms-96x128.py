"""RGB alone to distance, generated rooms.

Run:     python tools/train.py configs/unimodal/rgb2depth_small_1xb8-600it_mini-rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy
Ours:    MAE / MSE / RMSE on [-1, 1] 0.0245 / 0.0011 / 0.0326, one seed (0), 240 frames to train, 60 to validate
"""

_base_ = '../_base_/settings/rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
model = dict(sources=[dict(name='rgb', channels=3)], neck=None)
