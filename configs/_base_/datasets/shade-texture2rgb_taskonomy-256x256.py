# Taskonomy, one building, 1000 + 500 views: shading and texture edges to RGB.
data_root = '{{$MANGO_TASKONOMY:data/taskonomy}}'
sources = ['reshading', 'edge_texture']
target = 'rgb'
source_channels = [dict(name='reshading', channels=1), dict(name='edge_texture', channels=1)]
target_channels = 3
pair_channels = 5  # of all sources and the target
crop_size = (256, 256)
train_pipeline = [
    dict(type='mango_mm.LoadDomains'),
    dict(type='mango_mm.ResizeDomains', size=(286, 286)),
    dict(type='mango_mm.RandomCropDomains', size=crop_size),
    dict(type='mango_mm.RandomFlipDomains', prob=0.5),
    dict(type='mango_mm.PackDomains'),
]
test_pipeline = [
    dict(type='mango_mm.LoadDomains'),
    dict(type='mango_mm.ResizeDomains', size=crop_size),
    dict(type='mango_mm.PackDomains'),
]
common = dict(type='mango_mm.TaskonomyDataset', data_root=data_root, sources=sources, target=target)
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, ann_file='train_domain.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='val_domain.txt', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mango_mm.TranslationErrors'),
    dict(type='mango_mm.FlowLikelihood'),
    # A stand-in: FID needs extractor=dict(type='InceptionFeatures', weights=FILE).
    dict(type='mango_mm.FeatureDistances', extractor=dict(type='RandomFeatures')),
]
test_evaluator = val_evaluator
# One row per view: sources, target, output; what is black and what is white in each.
visualizer = dict(
    type='mmagic.ConcatImageVisualizer',
    vis_backends=[dict(type='mmengine.LocalVisBackend')],
    name='visualizer',
    fn_key='gt_path',
    img_keys=['source_reshading', 'source_edge_texture', 'gt_img', 'pred_img'],
    pixel_range=dict(
        source_reshading=[-1, 1],
        source_edge_texture=[-1, 1],
        gt_img=[-1, 1],
        pred_img=[-1, 1],
    ),
)
