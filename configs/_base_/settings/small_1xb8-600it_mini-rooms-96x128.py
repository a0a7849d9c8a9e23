# Autoencoders of RGB and distance on generated rooms; the leaf says which model.
_base_ = [
    '../datasets/rgb-depth_mini-rooms-96x128.py',
    '../schedules/translation_600it.py',
    '../translation_runtime.py',
]
