# NYU Depth V2 mini: the 795 official training frames at 341 x 256, 695 to train, 100 to validate;
# tools/prepare/nyu_depth_v2.py --mini makes it.
# Small enough for a CPU; tools/prepare/shrink.py makes a copy that loads faster.
dataset_type = 'mango_mm.NYUDepthV2Dataset'
data_root = '{{$MANGO_DATA_ROOT:../shared/data}}/nyuv2'
num_classes = 40
crop_size = (72, 96)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='depth', channels=1, mean=[2.77], std=[1.39], missing=0.0),  # metres
]
data_preprocessor = dict(
    type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities, size=crop_size
)
load = [
    dict(type='mango_mm.LoadImage'),
    dict(type='mango_mm.LoadDepth', encoding='metric', scale=5000),
]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=num_classes)
pack = [
    dict(type='mango_mm.StackModalities', keys=['img', 'depth']),
    dict(type='PackSegInputs'),
]
train_pipeline = [
    *load,
    labels,
    dict(type='RandomResize', scale=(96, 72), ratio_range=(1.0, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    *pack,
]
test_pipeline = [
    *load,
    dict(type='Resize', scale=(96, 72), keep_ratio=True),
    labels,
    *pack,
]
tta_pipeline = [
    *load,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=s, keep_ratio=True) for s in ((72, 54), (96, 72), (120, 90))],
            [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
            [labels],
            [pack[0]],
            [pack[1]],
        ],
    ),
]
common = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, ann_file='train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='val.txt', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
