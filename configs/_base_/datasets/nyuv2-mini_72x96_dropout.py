# NYU Depth V2 mini, with samples that lack a modality: modality dropout in training.
_base_ = './nyuv2-mini_72x96.py'
channels = [dict(name=m['name'], channels=m['channels']) for m in _base_.modalities]
pack = [
    _base_.pack[0],
    dict(type='mango_mm.DropModality', probabilities=dict(rgb=0.3, depth=0.3), channels=channels),
    dict(
        type='PackSegInputs',
        meta_keys=(
            'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
            'flip', 'flip_direction', 'reduce_zero_label', 'present',
        ),
    ),
]  # fmt: skip
train_pipeline = [*_base_.train_pipeline[:-2], *pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
