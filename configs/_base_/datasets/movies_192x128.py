# 3890 movies with posters, plots and 17 genres in the layout of MM-IMDB, posters whole.
_base_ = './movies_96x64.py'
load = [
    dict(type='mango_mm.LoadPoster'),
    dict(type='Resize', scale=(128, 192)),
]
train_pipeline = [
    *load,
    dict(type='RandomFlip', prob=0.5),
    dict(type='mango_mm.PackMovie'),
]
test_pipeline = [*load, dict(type='mango_mm.PackMovie')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
