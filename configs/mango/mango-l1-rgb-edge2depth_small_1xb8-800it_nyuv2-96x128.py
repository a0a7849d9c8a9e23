"""MANGO with the paper's block, L = 1, RGB + occlusion edges to distance, NYUv2.

Run:     python tools/train.py configs/mango/mango-l1-rgb-edge2depth_small_1xb8-800it_nyuv2-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2 data/taskonomy-nyuv2
"""

_base_ = [
    '../_base_/datasets/rgb-edge2depth_nyuv2-96x128.py',
    '../_base_/models/translator_small.py',
    '../_base_/schedules/translation_800it.py',
    '../_base_/translation_runtime.py',
]
model = dict(
    sources={{_base_.source_channels}},
    decoder=dict(out_channels={{_base_.target_channels}}),
    neck=dict(
        fusion=dict(
            _delete_=True,
            type='MangoFusion',
            window=(12, 16),
            depth=1,
        ),
    ),
)
