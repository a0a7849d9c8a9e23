"""A flow over the latents of RGB and distance, generated rooms: likelihood and samples.

Run:     python tools/train.py configs/autoencoder/latent-flow_small_1xb8-600it_rooms-96x128.py
Needs:   data/mini_taskonomy, and the trained autoencoder of mae_small_1xb8-600it_rooms-96x128.py
         (another file: MANGO_AUTOENCODER=FILE)
Then:    python tools/analyse/generate.py CONFIG WORK_DIR --out FOLDER
"""

_base_ = [
    '../_base_/datasets/rgb-depth_rooms-96x128.py',
    '../_base_/models/latent-flow_small.py',
    '../_base_/schedules/translation_600it.py',
    '../_base_/translation_runtime.py',
]
