# Convolutional autoencoders at stride 8: 96 x 128 x 3 values become 12 x 16 x 16.
model = dict(
    type='mango_mm.MaskedAutoencoder',
    encoder=dict(
        type='MultiStreamBackbone',
        backbone=dict(type='ConvPyramid', channels=[32, 64, 128]),
    ),
    feature_channels=128,
    latent_dim=16,
    decoder=dict(type='LatentDecoder', channels=[128, 64, 32]),
    patch_size=8,
    mask_ratio=0.5,
    masked_share=0.5,
    data_preprocessor=dict(type='mango_mm.TranslationDataPreprocessor'),
)
