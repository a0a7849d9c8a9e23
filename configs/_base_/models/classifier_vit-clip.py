# The paper's encoders: a ViT-B/16 of 256 tokens for the poster, CLIP's text encoder of 77.
model = dict(
    type='mango_mm.MultimodalClassifier',
    encoders=dict(
        image=dict(
            type='BackboneTokens',
            backbone=dict(
                type='mmseg.VisionTransformer',
                img_size=(256, 256),
                patch_size=16,
                embed_dims=768,
                num_layers=12,
                num_heads=12,
                out_indices=[11],
                final_norm=True,
                interpolate_mode='bicubic',
            ),
            out_dim=768,
        ),
        text=dict(
            type='TransformersTextEncoder',
            pretrained='{{$MANGO_CLIP:openai/clip-vit-base-patch32}}',
        ),
    ),
    dim=256,
    pool='after',
    head=dict(hidden_channels=512, dropout=0.3),
    nll_weight=0.01,
)
