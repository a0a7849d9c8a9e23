# 3890 movies with posters, plots and 17 genres in the layout of MM-IMDB.
data_root = '{{$MANGO_DATA_ROOT:../shared/data}}/movies'
genres = [
    'Drama',
    'Comedy',
    'Thriller',
    'Action',
    'Romance',
    'Adventure',
    'Crime',
    'Science Fiction',
    'Horror',
    'Family',
    'Fantasy',
    'Mystery',
    'Animation',
    'History',
    'War',
    'Music',
    'Western',
]
num_classes = 17
load = [
    dict(type='mango_mm.LoadPoster'),
    dict(type='Resize', scale=(64, 96)),
]
train_pipeline = [
    *load,
    dict(type='RandomFlip', prob=0.5),
    dict(type='mango_mm.PackMovie'),
]
test_pipeline = [*load, dict(type='mango_mm.PackMovie')]
common = dict(type='mango_mm.MMIMDbDataset', data_root=data_root, genres=genres, missing='error')
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, split='dev', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, split='test', pipeline=test_pipeline, test_mode=True),
)
# Thresholds are chosen on dev, kept in the model, and used on test.
val_evaluator = [
    dict(type='mango_mm.MultiLabelScores', choose_thresholds=True, classes=genres),
    dict(type='mango_mm.FlowLikelihood'),
]
test_evaluator = [
    dict(type='mango_mm.MultiLabelScores', classes=genres),
    dict(type='mango_mm.FlowLikelihood'),
]
