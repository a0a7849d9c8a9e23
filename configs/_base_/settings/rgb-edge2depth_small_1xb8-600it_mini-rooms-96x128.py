# A small translator, RGB + occlusion edges to distance, on generated rooms.
_base_ = [
    '../datasets/rgb-edge2depth_mini-rooms-96x128.py',
    '../models/translator_small.py',
    '../schedules/translation_600it.py',
    '../translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
)
