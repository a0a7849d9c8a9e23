"""Translation through mmagic: the real Runner on generated rooms, masks, likelihood, errors."""

import copy
import math

import numpy as np
import pytest
import torch
from mmagic.models.base_models import BaseEditModel
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.modalities import channels_by_name
from mango_mm.models.editors import MultimodalTranslator, TranslationDataPreprocessor
from mango_mm.models.heads import PixelShuffleDecoder
from mango_mm.registry import METRICS, MODELS

CHANNELS = [8, 16]
MODEL = dict(
    type='mango_mm.MultimodalTranslator',
    sources=[dict(name='rgb', channels=3), dict(name='edge_occlusion', channels=1)],
    encoder=dict(type='ConvPyramid', channels=CHANNELS),
    neck=dict(
        type='FusionNeck', in_channels=CHANNELS, stages=[1],
        fusion=dict(type='MangoFusion', window=(6, 8), depth=1),
    ),
    decoder=dict(type='UNetDecoder', in_channels=CHANNELS, out_channels=1),
)  # fmt: skip


def build(**changes):
    init_default_scope('mmagic')
    return MODELS.build({**copy.deepcopy(MODEL), **changes})


def batch(count=2, size=(24, 32), measured=True):
    inputs = {
        m: torch.rand(count, c, *size) * 2 - 1
        for m, c in channels_by_name(MODEL['sources']).items()
    }
    samples = []
    for _ in range(count):
        sample = DataSample()
        mask = (torch.rand(1, *size) > 0.3).float() * measured
        sample.set_tensor_data(dict(gt_img=torch.rand(1, *size) * 2 - 1, gt_mask=mask))
        samples.append(sample)
    return inputs, samples


def test_it_is_an_mmagic_model_with_its_modes():
    model = build()
    assert isinstance(model, BaseEditModel)
    assert isinstance(model, MultimodalTranslator)
    inputs, samples = batch()
    image = model(inputs)
    assert image.shape == (2, 1, 24, 32)
    assert image.abs().max() <= 1
    predictions = model(inputs, samples, mode='predict')
    torch.testing.assert_close(predictions[1].output.pred_img, image[1].detach())
    assert predictions[1].nll_per_dim.ndim == 0
    torch.testing.assert_close(predictions[0].source_rgb, inputs['rgb'][0])
    with pytest.raises(ValueError, match="got 'guess'"):
        model(inputs, samples, mode='guess')
    with pytest.raises(KeyError, match=r"the input lacks \['edge_occlusion'\]"):
        model({'rgb': inputs['rgb']})


def test_the_loss_is_the_mean_error_of_measured_pixels_and_the_flows_likelihood():
    model = build()
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    image = model(inputs)
    target = torch.stack([s.gt_img for s in samples])
    mask = torch.stack([s.gt_mask for s in samples]).bool()
    torch.testing.assert_close(losses['loss_pixel'], (image - target).abs()[mask].mean())
    assert {'loss_nll', 'nll_per_dim'} <= set(losses)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_a_batch_without_any_measured_pixel_has_a_loss_of_zero_and_finite_gradients():
    model = build()
    inputs, samples = batch(measured=False)
    for sample in samples:
        sample.gt_img = torch.full_like(sample.gt_img, -1.0)
    losses = model(inputs, samples, mode='loss')
    assert losses['loss_pixel'] == 0
    model.parse_losses(losses)[0].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_one_source_needs_no_neck_and_sources_may_share_an_encoder():
    alone = build(sources=dict(rgb=3), neck=None)
    assert alone({'rgb': torch.rand(1, 3, 17, 23)}).shape == (1, 1, 17, 23)  # odd sizes too
    shared = build(
        sources=[dict(name='rgb', channels=3), dict(name='normal', channels=3)], shared=True
    )
    assert list(shared.generator.encoders) == ['rgb']
    x = torch.rand(1, 3, 24, 32)
    assert shared({'rgb': x, 'normal': x}).shape == (1, 1, 24, 32)


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(neck=None), ValueError, 'need a neck that fuses them'),
        (dict(shared=True), ValueError, 'sources of different channels cannot share'),
        (dict(neck=dict(type='NoNeck')), TypeError, 'must be a FusionNeck; got _NoNeck'),
        (dict(encoder=dict(type='ConvPyramid', channels=[9])), ValueError, 'multiples of 8'),
    ],
)
def test_wrong_configs_are_named(changes, error, message):
    if changes.get('neck'):
        MODELS.register_module(name='NoNeck', module=_NoNeck, force=True)
    with pytest.raises(error, match=message):
        build(**changes)


class _NoNeck(nn.Module):
    def __init__(self, modalities):
        super().__init__()


def test_a_decoder_of_other_channels_is_named():
    model = build(decoder=dict(type='UNetDecoder', in_channels=[16, 16], out_channels=1))
    with pytest.raises(ValueError, match=r'built for \(16, 16\); got \(8, 16\)'):
        model(batch()[0])


def test_images_of_different_sizes_cannot_be_one_batch():
    inputs = {'rgb': [torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)]}
    with pytest.raises(ValueError, match='rgb images of a batch must have one size'):
        TranslationDataPreprocessor()({'inputs': inputs, 'data_samples': []})


# ---- the real Runner on real files ----

LOAD = [dict(type='mango_mm.LoadDomains')]
PACK = [dict(type='mango_mm.PackDomains')]
AUGMENT = [
    dict(type='mango_mm.ResizeDomains', size=(26, 36)),
    dict(type='mango_mm.RandomCropDomains', size=(24, 32)),
    dict(type='mango_mm.RandomFlipDomains'),
]


def runner(root, work_dir, iterations=40, **changes):
    def loader(ann_file, pipeline, size, **sampler):
        return dict(
            batch_size=size, num_workers=0, sampler=dict(type=sampler.pop('kind'), **sampler),
            dataset=dict(
                type='mango_mm.TaskonomyDataset', sources=['rgb', 'edge_occlusion'],
                target='depth_euclidean', data_root=str(root), ann_file=ann_file,
                pipeline=pipeline,
            ),
        )  # fmt: skip

    config = dict(
        model=copy.deepcopy(MODEL), work_dir=str(work_dir), default_scope='mmagic',
        experiment_name='translation',
        custom_imports=dict(imports=['mango_mm']), randomness=dict(seed=0),
        train_dataloader=loader('train_domain.txt', LOAD + AUGMENT + PACK, 4,
                                kind='InfiniteSampler', shuffle=True),
        val_dataloader=loader('val_domain.txt', LOAD + PACK, 3,
                              kind='DefaultSampler', shuffle=False),
        val_evaluator=dict(type='mango_mm.TranslationErrors'), val_cfg=dict(type='ValLoop'),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3)),
        default_hooks=dict(
            timer=dict(type='mmengine.IterTimerHook'),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=iterations),
        ),
        custom_hooks=[dict(type='mango_mm.RandomStateHook')], log_level='WARNING',
    )  # fmt: skip
    return Runner.from_cfg(Config({**config, **changes}))


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return write_rooms(
        tmp_path_factory.mktemp('rooms'), train=8, val=5, size=(24, 32), taskonomy=True
    )


@pytest.mark.slow
def test_training_through_the_runner_lowers_the_error(rooms, tmp_path):
    torch.manual_seed(0)
    np.random.seed(0)
    run = runner(rooms, tmp_path)
    before = run.val()
    run.train()
    after = run.val()
    assert after['MAE'] < 0.7 * before['MAE'], (before, after)
    assert after['RMSE'] == pytest.approx(math.sqrt(after['MSE']))
    assert (tmp_path / 'iter_40.pth').is_file()
    # The metric, done by hand on the same model.
    total = count = 0.0
    run.model.eval()
    with torch.no_grad():
        for data in run.val_dataloader:
            for sample in run.model.val_step(data):
                error = (sample.output.pred_img - sample.gt_img)[sample.gt_mask > 0]
                total, count = total + float(error.abs().sum()), count + error.numel()
    assert after['MAE'] == pytest.approx(total / count, rel=1e-5)


@pytest.mark.slow
def test_a_run_that_was_stopped_resumes_to_the_same_weights(rooms, tmp_path):
    whole = runner(rooms, tmp_path / 'whole', 8)
    whole.train()
    runner(rooms, tmp_path / 'cut', 4).train()
    again = runner(rooms, tmp_path / 'cut', 8, resume=True)
    again.train()
    for (name, wanted), got in zip(whole.model.named_parameters(), again.model.parameters()):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0, msg=name)


def test_errors_without_a_mask_count_every_pixel():
    metric = METRICS.build(dict(type='mango_mm.TranslationErrors'))
    one = dict(output=dict(pred_img=torch.ones(3, 2, 2)), gt_img=torch.zeros(3, 2, 2))
    metric.process({}, [one, one])
    assert metric.evaluate(2) == {'MAE': 1.0, 'MSE': 1.0, 'RMSE': 1.0}


# ---- with a discriminator ----

GAN = dict(
    discriminator=dict(
        type='mmagic.PatchDiscriminator', in_channels=5, base_channels=8, num_conv=2,
        norm_cfg=dict(type='IN'),
    ),
    gan_loss=dict(type='mmagic.GANLoss', gan_type='lsgan', loss_weight=0.01),
)  # fmt: skip
ADAM = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)))
TWO = dict(constructor='MultiOptimWrapperConstructor', generator=ADAM, discriminator=ADAM)


def step(model, data, optimisers):
    wrappers = {
        name: OptimWrapper(torch.optim.SGD(getattr(model, name).parameters(), lr=0.1))
        for name in optimisers
    }
    return model.train_step(data, OptimWrapperDict(**wrappers))


def test_a_step_moves_the_generator_by_its_losses_and_the_discriminator_by_its_own():
    torch.manual_seed(0)
    model = build(**GAN)
    inputs, samples = batch()
    data = dict(
        inputs={m: list(x) for m, x in inputs.items()}, data_samples=samples,
    )  # fmt: skip
    before = copy.deepcopy(model)
    log = step(model, data, ('generator', 'discriminator'))
    assert {'loss', 'disc_loss', 'loss_gan', 'loss_pixel', 'loss_disc_real', 'loss_nll'} <= set(log)

    # The same by hand, with autograd on the model of before and the discriminator of after.
    target = torch.stack([s.gt_img for s in samples])
    mask = torch.stack([s.gt_mask for s in samples])
    images, losses, _ = before.generator(inputs)
    image = images['fused']

    def judge(discriminator, x):
        seen = torch.where(mask > 0, x, -1.0)
        return discriminator(torch.cat([inputs['rgb'], inputs['edge_occlusion'], seen], 1))

    disc = 0.5 * ((judge(before.discriminator, target) - 1) ** 2).mean()
    disc = disc + 0.5 * (judge(before.discriminator, image.detach()) ** 2).mean()
    torch.testing.assert_close(log['disc_loss'], disc.detach())
    gradients = torch.autograd.grad(disc, list(before.discriminator.parameters()))
    for old, new, g in zip(before.discriminator.parameters(), model.discriminator.parameters(),
                           gradients):  # fmt: skip
        torch.testing.assert_close(new, old - 0.1 * g)
    gan = 0.01 * ((judge(model.discriminator, image) - 1) ** 2).mean()
    torch.testing.assert_close(log['loss_gan'], gan.detach())
    total = (image - target).abs()[mask.bool()].mean() + gan + losses['loss_nll']
    gradients = torch.autograd.grad(total, list(before.generator.parameters()))
    for old, new, g in zip(before.generator.parameters(), model.generator.parameters(), gradients):
        torch.testing.assert_close(new, old - 0.1 * g)
    assert all(p.requires_grad for p in model.discriminator.parameters())


def test_a_discriminator_without_an_optimiser_or_a_loss_is_named():
    inputs, samples = batch()
    data = dict(inputs={m: list(x) for m, x in inputs.items()}, data_samples=samples)
    model = build(**GAN)
    one = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(TypeError, match='needs two optimisers.*got OptimWrapper'):
        model.train_step(data, one)
    with pytest.raises(ValueError, match='belong together'):
        build(gan_loss=GAN['gan_loss'])


@pytest.mark.slow
def test_training_with_a_discriminator_through_the_runner_resumes_bit_equal(rooms, tmp_path):
    model = {**copy.deepcopy(MODEL), **GAN}

    def states(folder, iterations, **changes):
        run = runner(rooms, folder, iterations, model=model, optim_wrapper=TWO, **changes)
        run.train()
        return run.model.state_dict()

    saved = dict(
        timer=dict(type='mmengine.IterTimerHook'),
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3),
    )
    whole = states(tmp_path / 'whole', 6, default_hooks=saved)
    states(tmp_path / 'parts', 3, default_hooks=saved)
    resumed = states(tmp_path / 'parts', 6, default_hooks=saved, resume=True)
    assert any(k.startswith('discriminator') for k in whole)
    for name, wanted in whole.items():
        torch.testing.assert_close(resumed[name], wanted, rtol=0, atol=0, msg=name)


# ---- the transformer generator ----


def test_the_transformer_generator_shuffles_up_what_it_shuffled_down():
    channels = [16, 32, 64]
    mit = dict(type='mmseg.MixVisionTransformer', embed_dims=16, mlp_ratio=2, drop_path_rate=0.0)
    blocks = [
        dict(**mit, num_stages=1, num_layers=[1], num_heads=[c // 16], patch_sizes=[3],
             strides=[1], sr_ratios=[1], out_indices=(0,))
        for c in channels[:-1]
    ]  # fmt: skip
    model = build(
        encoder=dict(**mit, num_stages=3, num_layers=[1, 1, 1], num_heads=[1, 2, 4],
                     patch_sizes=[3, 3, 3], strides=[2, 2, 2], sr_ratios=[4, 2, 1],
                     out_indices=(0, 1, 2)),
        neck=dict(type='FusionNeck', in_channels=channels, stages=[2],
                  fusion=dict(type='MangoFusion', window=(3, 4), depth=1)),
        decoder=dict(type='PixelShuffleDecoder', in_channels=channels, blocks=blocks,
                     out_channels=1),
    )  # fmt: skip
    inputs, samples = batch(size=(23, 30))  # odd sizes too
    losses = model(inputs, samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert model(inputs).shape == (2, 1, 23, 30)


def test_the_shuffle_decoder_in_closed_form():
    decoder = PixelShuffleDecoder(in_channels=[4, 8], out_channels=1)
    fine, coarse = torch.randn(1, 4, 4, 6), torch.randn(1, 8, 2, 3)
    up = torch.nn.functional.conv2d(
        torch.pixel_shuffle(coarse, 2), decoder.grow[1].weight, decoder.grow[1].bias
    )
    wanted = torch.tanh(decoder.grow[0](torch.pixel_shuffle(up + fine, 2)))
    torch.testing.assert_close(decoder([fine, coarse], (8, 12)), wanted)
    with pytest.raises(ValueError, match='multiples of 4'):
        PixelShuffleDecoder(in_channels=[4, 6])
    with pytest.raises(ValueError, match='2 maps need 1 blocks; got 2'):
        PixelShuffleDecoder(in_channels=[4, 8], blocks=[{}, {}])
    with pytest.raises(ValueError, match=r'built for \(4, 8\); got \(4, 4\)'):
        decoder([fine, fine], (8, 12))
