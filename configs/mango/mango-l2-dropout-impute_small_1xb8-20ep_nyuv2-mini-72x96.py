"""MANGO trained with modality dropout; what is missing is imputed by the flow, NYU Depth V2 mini.

Run:     python tools/train.py configs/mango/mango-l2-dropout-impute_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    mIoU of both / RGB alone / depth alone 9.03 / 3.51 / 7.39, one seed (0), of an earlier version (outdated); docs/missing_modalities.md
"""

_base_ = '../_base_/settings/dropout_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(9, 12), depth=2, missing='impute')))
