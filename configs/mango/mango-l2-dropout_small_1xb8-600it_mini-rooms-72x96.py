"""MANGO trained with modality dropout; what is missing is masked out of the flow, generated rooms.

Run:     python tools/train.py configs/mango/mango-l2-dropout_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    not measured
"""

_base_ = '../_base_/settings/dropout_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(neck=dict(fusion=dict(type='MangoFusion', window=(9, 12), depth=2)))
