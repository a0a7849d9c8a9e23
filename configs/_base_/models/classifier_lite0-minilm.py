# EfficientNet-Lite0 for the poster and MiniLM for the plot, frozen, one averaged token each; a fusion
# and a head are trained. The weights: python tools/prepare/encoders.py efficientnet-lite0 minilm.
encoders = '{{$MANGO_ENCODERS:data/encoders}}'
model = dict(
    type='mango_mm.MultimodalClassifier',
    data_preprocessor=dict(
        type='mango_mm.MovieDataPreprocessor', mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]
    ),
    encoders=dict(
        image=dict(
            type='FrozenEncoder',
            encoder=dict(
                type='BackboneTokens',
                backbone=dict(
                    type='mmseg.TIMMBackbone',
                    model_name='tf_efficientnet_lite0',
                    features_only=True,
                    pretrained=False,
                    out_indices=(4,),
                    init_cfg=dict(
                        type='Pretrained', checkpoint=f'{encoders}/efficientnet-lite0.safetensors'
                    ),
                ),
                out_dim=320,
            ),
        ),
        text=dict(
            type='FrozenEncoder',
            encoder=dict(
                type='TransformersTextEncoder', pretrained=f'{encoders}/minilm', max_length=128
            ),
        ),
    ),
    dim=256,
    pool='before',
    head=dict(hidden_channels=256, dropout=0.5),
    nll_weight=0.01,
)
