# PST900: RGB and thermal, underground. Every tenth training image is validated on: the authors
# give no validation split.
dataset_type = 'mango_mm.PST900Dataset'
data_root = 'data/pst900'
num_classes = 5
crop_size = (720, 1280)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='thermal', channels=1, missing=0.0, mean='estimate', std='estimate'),
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
    dict(type='RandomResize', scale=(1280, 720), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    *pack,
]
test_pipeline = [*load, labels, *pack]
common = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, split='val', pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, split='test', pipeline=test_pipeline),
)
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
