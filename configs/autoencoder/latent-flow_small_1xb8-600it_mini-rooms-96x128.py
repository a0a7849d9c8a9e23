"""A flow over the latents of RGB and distance, generated rooms: likelihood and samples.

Run:     python tools/train.py configs/autoencoder/latent-flow_small_1xb8-600it_mini-rooms-96x128.py
Needs:   data/mini_taskonomy, and the trained autoencoder of mae_small_1xb8-600it_mini-rooms-96x128.py
         (another file: MANGO_AUTOENCODER=FILE)
Ours:    -1.78 bits per dimension of the latents, one seed (0); docs/translation.md
Then:    python tools/analyse/generate.py CONFIG WORK_DIR --out FOLDER
"""

_base_ = [
    '../_base_/settings/small_1xb8-600it_mini-rooms-96x128.py',
    '../_base_/models/latent-flow_small.py',
]
model = dict(autoencoder=dict(encoder=dict(modalities={{_base_.modalities}})))
