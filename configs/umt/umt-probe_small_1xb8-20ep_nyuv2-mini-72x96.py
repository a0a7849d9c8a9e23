"""The test of UMT or UME: a fusion of frozen uni-modal streams, NYU Depth V2 mini.

Run:     python tools/train.py configs/umt/umt-probe_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
         its two teachers: python tools/train.py on the configs named below
Ours:    not measured
"""

_base_ = '../concat/concat_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    _delete_=True,
    type='mango_mm.UnimodalProbe',
    student={{_base_.model}},
    teachers=dict(
        rgb=dict(
            config='configs/unimodal/rgb_small_1xb8-20ep_nyuv2-mini-72x96.py',
            checkpoint='work_dirs/rgb_small_1xb8-20ep_nyuv2-mini-72x96/latest',
        ),
        depth=dict(
            config='configs/unimodal/depth_small_1xb8-20ep_nyuv2-mini-72x96.py',
            checkpoint='work_dirs/depth_small_1xb8-20ep_nyuv2-mini-72x96/latest',
        ),
    ),
)
