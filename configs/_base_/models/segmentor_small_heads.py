# Two small MiT streams, a neck that concatenates, and a head for every modality.
_base_ = './segmentor_small.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mango_mm.EnsembleHead',
        head={{_base_.model.decode_head}},
    ),
)
