"""Masked autoencoder of RGB and distance, generated rooms: the paper's perceptual compression.

Run:     python tools/train.py configs/autoencoder/mae_small_1xb8-600it_rooms-96x128.py
Needs:   data/mini_taskonomy: python tools/prepare/mini_rooms.py data/mini_taskonomy --taskonomy
Then:    configs/autoencoder/latent-flow_small_1xb8-600it_rooms-96x128.py
"""

_base_ = [
    '../_base_/datasets/rgb-depth_rooms-96x128.py',
    '../_base_/models/autoencoder_small.py',
    '../_base_/schedules/translation_600it.py',
    '../_base_/translation_runtime.py',
]
