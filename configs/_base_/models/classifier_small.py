# A convolutional poster encoder (24 tokens), an own text transformer (64 words), from scratch.
model = dict(
    type='mango_mm.MultimodalClassifier',
    encoders=dict(
        image=dict(
            type='BackboneTokens',
            backbone=dict(type='ConvPyramid', channels=[16, 32, 64, 128]),
            out_dim=128,
        ),
        text=dict(type='WordTextEncoder', dim=128, max_length=64, depth=2, dropout=0.3),
    ),
    dim=128,
    pool='after',
    head=dict(hidden_channels=128, dropout=0.3),
    nll_weight=0.01,
)
