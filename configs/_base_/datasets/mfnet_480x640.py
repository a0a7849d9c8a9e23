# MFNet: RGB and thermal, street scenes by day and night.
dataset_type = 'mango_mm.MFNetDataset'
data_root = 'data/mfnet'
num_classes = 9
crop_size = (480, 640)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='thermal', channels=1, loader=dict(type='mango_mm.LoadArray', channels=[3]), mean='estimate', std='estimate'),
]
data_preprocessor = dict(
    type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities, size=crop_size
)
load = [
    dict(type='mango_mm.LoadModalities', modalities=modalities),
]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=num_classes)
pack = [
    dict(type='mango_mm.StackModalities', modalities=modalities),
    dict(type='PackSegInputs'),
]
train_pipeline = [
    *load,
    labels,
    dict(type='RandomResize', scale=(640, 480), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    *pack,
]
test_pipeline = [*load, labels, *pack]
common = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, ann_file='train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='val.txt', pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='test.txt', pipeline=test_pipeline),
)
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
