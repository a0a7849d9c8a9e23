# A small translator, distance + normals to RGB, on NYU Depth V2 mini.
_base_ = [
    '../datasets/depth-normal2rgb_nyuv2-mini-96x128.py',
    '../models/translator_small.py',
    '../schedules/translation_800it.py',
    '../translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
)
