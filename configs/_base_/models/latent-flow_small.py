# A flow over the latents of the trained autoencoder of autoencoder_small.py.
model = dict(
    type='mango_mm.LatentFlow',
    autoencoder=dict(
        type='MaskedAutoencoder',
        encoder=dict(
            type='MultiStreamBackbone',
            backbone=dict(type='ConvPyramid', channels=[32, 64, 128]),
        ),
        feature_channels=128,
        latent_dim=16,
        decoder=dict(type='LatentDecoder', channels=[128, 64, 32]),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{$MANGO_AUTOENCODER:work_dirs/mae_small_1xb8-600it_mini-rooms-96x128/iter_600.pth}}',
        ),
    ),
    flow=dict(
        type='MangoFusion',
        normalize=False,  # a sample has no token statistics
        window=(12, 16),
        depth=4,
        recipe=['actnorm', 'mmca', 'imca', 'lica', 'coupling', 'cross_modal'],
        layers=dict(num_heads=4),
    ),
    data_preprocessor=dict(type='mango_mm.TranslationDataPreprocessor'),
)
