# SUN RGB-D; depth as the official archive has it. For DFormer's 8-bit depth set encoding='relative' and depth's mean and std='estimate'.
dataset_type = 'mango_mm.SUNRGBDDataset'
data_root = 'data/sun_rgbd'
num_classes = 37
crop_size = (480, 480)
modalities = [
    dict(name='rgb', channels=3, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    dict(name='depth', channels=1, mean=[2.77], std=[1.39], missing=0.0),  # metres
]
data_preprocessor = dict(
    type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities, size=crop_size
)
load = [
    dict(type='mango_mm.LoadImage'),
    dict(type='mango_mm.LoadDepth', encoding='sun'),
]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=num_classes)
pack = [
    dict(type='mango_mm.StackModalities', keys=['img', 'depth']),
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
test_pipeline = [
    *load,
    dict(type='Resize', scale=(640, 480), keep_ratio=True),
    labels,
    *pack,
]
tta_pipeline = [
    *load,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=s, keep_ratio=True) for s in ((480, 360), (640, 480), (800, 600))],
            [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
            [labels],
            [pack[0]],
            [pack[1]],
        ],
    ),
]
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
    dataset=dict(**common, ann_file='test.txt', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
