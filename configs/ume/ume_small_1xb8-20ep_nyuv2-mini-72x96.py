"""UME: a stream and a head per modality that share nothing, predictions averaged, NYU Depth V2 mini.

Run:     python tools/train.py configs/ume/ume_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    not measured
"""

_base_ = '../_base_/settings/heads_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=None, decode_head=dict(combine='mean', shared=False))
