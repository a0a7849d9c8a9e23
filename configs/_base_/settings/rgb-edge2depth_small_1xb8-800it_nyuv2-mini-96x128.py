# A small translator, RGB + occlusion edges to distance, on NYU Depth V2 mini.
_base_ = [
    '../datasets/rgb-edge2depth_nyuv2-mini-96x128.py',
    '../models/translator_small.py',
    '../schedules/translation_800it.py',
    '../translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
)
