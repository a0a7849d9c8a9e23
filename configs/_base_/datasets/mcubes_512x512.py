# MCubeS: RGB, angle (sine, cosine) and degree of linear polarisation, near infrared.
dataset_type = 'mango_mm.MCubeSDataset'
data_root = 'data/mcubes/multimodal_dataset'
num_classes = 20
crop_size = (512, 512)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='aolp', channels=2, mean='estimate', std='estimate'),
    dict(name='dolp', channels=1, mean='estimate', std='estimate'),
    dict(name='nir', channels=1, loader=dict(type='mango_mm.LoadArray', scale='full'), mean='estimate', std='estimate'),
]
data_preprocessor = dict(
    type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities, size=crop_size
)
load = [
    dict(type='mango_mm.LoadModalities', modalities=modalities),
]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=num_classes)
border = dict(type='mango_mm.CropBorder', left=192)
pack = [
    dict(type='mango_mm.StackModalities', modalities=modalities),
    dict(type='PackSegInputs'),
]
train_pipeline = [
    *load,
    labels,
    border,
    dict(type='RandomResize', scale=(1032, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    *pack,
]
test_pipeline = [*load, labels, border, *pack]
common = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, ann_file='list_folder/train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='list_folder/val.txt', pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='list_folder/test.txt', pipeline=test_pipeline),
)
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
