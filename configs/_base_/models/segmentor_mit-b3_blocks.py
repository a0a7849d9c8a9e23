# One MiT-B3 for both modalities, private norms, a fusion inside its blocks (the leaf says which),
# one head for both and a learned ensemble: as TokenFusion, GeminiFusion and CEN do.
_base_ = './segmentor_mit-b3.py'
model = dict(
    backbone=dict(type='mango_mm.BlockFusionBackbone'),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='mango_mm.EnsembleHead',
        combine='learned',
        shared=True,
        head={{_base_.model.decode_head}},
    ),
)
