# Mini rooms, with samples that lack a modality: modality dropout in training.
_base_ = './mini-rooms_72x96.py'
crop_size = (72, 96)
channels = dict(rgb=3, depth=1)
pack = [
    dict(type='mango_mm.StackModalities', keys=['img', 'depth']),
    dict(
        type='mango_mm.DropModality', probabilities=dict(rgb=0.3, depth=0.3), channels=channels
    ),
    dict(
        type='PackSegInputs',
        meta_keys=(
            'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
            'flip', 'flip_direction', 'reduce_zero_label', 'present',
        ),
    ),
]  # fmt: skip
train_pipeline = [
    dict(type='mango_mm.LoadImage'),
    dict(type='mango_mm.LoadDepth', encoding='metric', scale=5000),
    dict(type='mango_mm.LoadSegmentation', num_classes={{_base_.num_classes}}),
    dict(type='RandomResize', scale=(96, 72), ratio_range=(1.0, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    *pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
