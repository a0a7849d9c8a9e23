"""Masked autoencoder of RGB and distance, generated rooms: the paper's perceptual compression.

Run:     python tools/train.py configs/autoencoder/mae_small_1xb8-600it_mini-rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy
Ours:    MAE on [-1, 1] 0.067 (RGB) and 0.006 (distance) on 60 rooms, one seed (0); docs/translation.md
Then:    configs/autoencoder/latent-flow_small_1xb8-600it_mini-rooms-96x128.py
"""

_base_ = [
    '../_base_/settings/small_1xb8-600it_mini-rooms-96x128.py',
    '../_base_/models/autoencoder_small.py',
]
model = dict(encoder=dict(modalities={{_base_.modalities}}))
