"""The adapters to mmseg: losses, likelihoods, preprocessing."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mango_mm.apis import load_config
from mango_mm.models.segmentors import MultimodalSegDataPreProcessor
from mango_mm.registry import MODELS, build_ours

MANGO = 'configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py'
SPEC = dict(
    rgb=dict(channels=3, mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0]),
    depth=dict(channels=1, mean=[2.0], std=[0.5], missing=0.0),
)


def samples(count, size=(72, 96), label=None):
    result = []
    for _ in range(count):
        sample = SegDataSample()
        data = torch.randint(0, 10, (1, *size)) if label is None else torch.full((1, *size), label)
        sample.gt_sem_seg = PixelData(data=data)
        sample.set_metainfo(dict(img_shape=size, ori_shape=size))
        result.append(sample)
    return result


def build(path=MANGO, **options):
    config = load_config(path, options=options)
    config.model.decode_head.norm_cfg = dict(type='BN')
    init_default_scope('mmseg')
    return MODELS.build(config.model)


def test_the_loss_has_the_heads_and_the_flows_terms():
    losses = build()(torch.randn(2, 4, 72, 96), samples(2), mode='loss')
    assert set(losses) >= {'loss_nll', 'nll_per_dim', 'decode.loss_ce'}
    total, logged = build().parse_losses(losses)
    expected = losses['loss_nll'] + losses['decode.loss_ce']
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_predictions_carry_labels_and_likelihoods(mode):
    test_cfg = dict(mode=mode, crop_size=(72, 96), stride=(48, 64))
    model = build(**{'model.test_cfg': test_cfg}).eval()
    inputs = torch.randn(2, 4, 100, 120)
    with torch.no_grad():
        out = model(inputs, samples(2, (100, 120)), mode='predict')
    assert [s.pred_sem_seg.data.shape for s in out] == [(1, 100, 120)] * 2
    assert all(torch.isfinite(s.nll_per_dim) for s in out)


def test_a_mask_of_ignored_pixels_only_gives_a_finite_loss_and_gradient():
    model = build()
    losses = model(torch.randn(2, 4, 72, 96), samples(2, label=255), mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_each_modality_is_normalised_by_its_own_statistics_and_missing_is_the_mean():
    processor = MultimodalSegDataPreProcessor(SPEC)
    image = torch.tensor([11.0, 24.0, 26.0, 3.0]).view(4, 1, 1).repeat(1, 2, 2)
    image[3, 0, 0] = 0.0
    image[3, 0, 1] = float('nan')
    out = processor(dict(inputs=[image], data_samples=samples(1, (2, 2))), False)['inputs'][0]
    assert out[:, 1, 1].tolist() == [1.0, 2.0, -1.0, 2.0]
    assert out[3, 0].tolist() == [0.0, 0.0]


def test_training_batches_are_padded_with_ignored_labels():
    processor = MultimodalSegDataPreProcessor(SPEC, size=(4, 6))
    batch = processor(dict(inputs=[torch.ones(4, 2, 6)], data_samples=samples(1, (2, 6))), True)
    assert batch['inputs'].shape == (1, 4, 4, 6)
    assert not batch['inputs'][0, :, 2:].any()
    assert (batch['data_samples'][0].gt_sem_seg.data[0, 2:] == 255).all()


def test_wrong_statistics_and_images_are_named():
    with pytest.raises(ValueError, match="'depth' needs one mean for each of its 1 channels"):
        MultimodalSegDataPreProcessor(dict(depth=dict(channels=1, mean=[1, 2], std=[1])))
    with pytest.raises(ValueError, match='4 channels in all; got an image of 3'):
        MultimodalSegDataPreProcessor(SPEC)(dict(inputs=[torch.ones(3, 2, 2)]))
    with pytest.raises(ValueError, match='a test batch must be of one size'):
        MultimodalSegDataPreProcessor(SPEC)(dict(inputs=[torch.ones(4, 2, 2), torch.ones(4, 3, 2)]))


def test_blank_images_of_what_is_absent_do_not_blow_up_the_gradient():
    """The normalisations of an encoder divide by nothing there, again and again."""
    model = build_ours(
        MODELS, load_config('configs/ume/ume-dropout_small_1xb8-20ep_nyuv2-mini-72x96.py').model
    )
    model.init_weights()
    model.train()
    inputs, found = torch.randn(3, 4, 72, 96), samples(3)
    inputs[:, 3] = 0.0
    for sample in found:
        sample.set_metainfo(dict(present=dict(rgb=True, depth=False)))
    losses = model.loss(inputs, found)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert all(g.isfinite().all() for g in gradients.values())
    # Every sample lacks depth: nothing may reach its encoder.
    depth = [g for n, g in gradients.items() if 'streams.depth' in n]
    assert depth
    assert all(not g.any() for g in depth)


@pytest.mark.parametrize('kind', ['CascadeEncoderDecoder', 'EncoderDecoder'])
def test_a_segmentor_of_the_host_that_would_ignore_what_is_absent_refuses_it(kind):
    config = load_config(MANGO).model
    config.decode_head.norm_cfg = dict(type='BN')
    preprocessor = {**config.data_preprocessor, 'type': 'mango_mm.MultimodalSegDataPreProcessor'}
    given = dict(config, type=f'mmseg.{kind}', data_preprocessor=preprocessor)
    given['neck'] = {**config.neck, 'type': 'mango_mm.FusionNeck'}
    if kind == 'CascadeEncoderDecoder':
        given |= dict(num_stages=1, decode_head=[config.decode_head])
    init_default_scope('mmseg')
    host = MODELS.build(given)
    ours = MODELS.build(dict(given, type='mango_mm.MultimodalEncoderDecoder',
                             decode_head=config.decode_head) if kind == 'EncoderDecoder'
                        else dict(config))  # fmt: skip
    data = dict(inputs=[torch.randn(4, 72, 96)] * 2, data_samples=samples(2))
    assert host.data_preprocessor(data, True)['inputs'].shape == (2, 4, 72, 96)
    data['data_samples'][1].set_metainfo(dict(present=dict(rgb=True, depth=False)))
    with pytest.raises(ValueError, match="lacks .'depth'.*would ignore.*MultimodalEncoderDecoder"):
        host.data_preprocessor(data, True)
    assert ours.data_preprocessor(data, True)['inputs'].shape == (2, 4, 72, 96)


def test_what_a_sample_lacks_has_features_of_zeros_and_no_gradient():
    model = build(MANGO)
    inputs = torch.randn(2, 4, 72, 96)
    inputs[0, 3] = 0.0  # a blank image, of which an encoder makes something all the same
    metas = [dict(present=dict(rgb=True, depth=False)), dict()]
    features, _ = model.encode(inputs, metas)
    for x in features['depth']:
        assert not x[0].any()
        assert x[1].any()
    assert all(x.any() for x in features['rgb'])
    sum(x[0].square().sum() + x[0].sum() for x in features['depth']).backward()
    stream = model.backbone.streams['depth']
    assert not any(p.grad is not None and p.grad.any() for p in stream.parameters())


def test_a_label_stride_trains_on_every_nth_pixel():
    torch.manual_seed(0)
    options = {'model.decode_head.dropout_ratio': 0.0}
    plain, thin = build(**options), build(**options, **{'model.train_cfg.label_stride': 4})
    thin.load_state_dict(plain.state_dict())
    inputs, labelled = torch.randn(2, 4, 72, 96), samples(2)
    by_hand = samples(2, (18, 24))
    for own, whole in zip(by_hand, labelled):
        own.gt_sem_seg = PixelData(data=whole.gt_sem_seg.data[:, 2::4, 2::4])
    wanted = plain(inputs, by_hand, mode='loss')
    found = thin(inputs, labelled, mode='loss')
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
    assert labelled[0].gt_sem_seg.shape == (72, 96)  # the caller's samples are as they were
