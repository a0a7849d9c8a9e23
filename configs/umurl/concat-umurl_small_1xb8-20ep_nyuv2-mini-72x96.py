"""Concatenation of two streams that UmURL has pretrained, NYU Depth V2 mini.

Run:     python tools/train.py configs/umurl/concat-umurl_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
         python tools/train.py configs/umurl/umurl_small_1xb8-20ep_nyuv2-mini-72x96.py
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/umurl_small_1xb8-20ep_nyuv2-mini-72x96/iter_1740.pth',
            prefix='student.backbone.',
        ),
    ),
)
