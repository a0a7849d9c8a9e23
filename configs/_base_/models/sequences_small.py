# A convolution and a transformer layer for each sequence; the leaf says how they are fused.
model = dict(
    type='mango_mm.MultimodalClassifier',
    encoders=[
        dict(name='signal', type='SequenceEncoder', in_channels=6, out_dim=32, max_length=24),
        dict(name='text', type='SequenceEncoder', in_channels=10, out_dim=32, max_length=12),
        dict(name='image', type='SequenceEncoder', in_channels=16, out_dim=32, max_length=9),
    ],
    dim=32,
    pool='after',
    head=dict(type='RegressionHead', hidden_channels=64, dropout=0.1, loss='l1'),
    nll_weight=0.01,
)
