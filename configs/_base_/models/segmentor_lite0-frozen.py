# The streams of the two unimodal trainings with EfficientNet-Lite0, frozen; fusion at strides 16 and
# 32 and a head of half the width are trained.
_base_ = './segmentor_lite0.py'
encoder = dict(
    type='mmseg.TIMMBackbone',
    model_name='tf_efficientnet_lite0',
    features_only=True,
    pretrained=False,
    out_indices=(1, 2, 3, 4),
)
work_dirs = '{{$MANGO_WORK_DIRS:work_dirs}}'
model = dict(
    backbone=dict(
        frozen=True,
        backbones=dict(
            depth=dict(
                **encoder,
                init_cfg=dict(
                    type='Pretrained',
                    checkpoint=f'{work_dirs}/depth_lite0_1xb8-900it_nyuv2-mini-192x256/iter_900.pth',
                    prefix='backbone.streams.depth.',
                ),
            ),
            rgb=dict(
                **encoder,
                init_cfg=dict(
                    type='Pretrained',
                    checkpoint=f'{work_dirs}/rgb_lite0_1xb8-900it_nyuv2-mini-192x256/iter_900.pth',
                    prefix='backbone.streams.rgb.',
                ),
            ),
        ),
    ),
    decode_head=dict(channels=64),
    train_cfg=dict(label_stride=4),  # that of the logits: the loss is most of what is left to compute
)
