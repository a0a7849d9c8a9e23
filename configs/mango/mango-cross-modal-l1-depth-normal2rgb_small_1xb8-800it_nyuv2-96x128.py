"""MANGO with cross-modal couplings, L = 1, distance + normals to RGB, NYUv2.

Run:     python tools/train.py configs/mango/mango-cross-modal-l1-depth-normal2rgb_small_1xb8-800it_nyuv2-96x128.py
Needs:   data/taskonomy-nyuv2: python tools/prepare/taskonomy_from_rgbd.py NYUV2 data/taskonomy-nyuv2
"""

_base_ = [
    '../_base_/datasets/depth-normal2rgb_nyuv2-96x128.py',
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
            recipe='cross_modal',
            layers=dict(num_heads=4),
        ),
    ),
)
