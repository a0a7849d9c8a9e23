"""Concatenation of two streams that UmURL has pretrained, NYU Depth V2, the pack of 795 training images.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb8-20ep_nyuv2-pack-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2 (default ../shared/data/nyuv2), see its README
         python tools/train.py configs/umurl/umurl_small_1xb8-20ep_nyuv2-pack-72x96.py
Ours:    docs/fusions.md
"""

_base_ = '../concat/concat_small_1xb8-20ep_nyuv2-pack-72x96.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/umurl_small_1xb8-20ep_nyuv2-pack-72x96/iter_1740.pth',
            prefix='student.backbone.',
        ),
    ),
)
