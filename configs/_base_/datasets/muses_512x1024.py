# MUSES: frame camera, event camera, lidar, radar; scored by weather and time of day, too.
dataset_type = 'mango_mm.MUSESDataset'
data_root = 'data/muses'
num_classes = 19
crop_size = (512, 1024)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='event', channels=2, mean='estimate', std='estimate'),
    dict(name='lidar', channels=3, missing=0.0, mean='estimate', std='estimate'),
    dict(name='radar', channels=2, missing=0.0, mean='estimate', std='estimate'),
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
    dict(type='RandomResize', scale=(1820, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
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
# The authors keep the labels of test (Codabench). To predict it: split='test', this pipeline, and
# test_evaluator = dict(type='mango_mm.MultimodalIoUMetric', format_only=True, output_dir='...').
predict_pipeline = [*load, *pack]
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, split='val', pipeline=test_pipeline),
)
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
