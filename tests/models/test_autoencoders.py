"""Autoencoder and latent flow: masking, exact inversion, sampling, transfer, the tool."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mango_mm.datasets import TaskonomyDataset
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.models.autoencoders.masked_autoencoder import measured
from mango_mm.registry import MODELS
from mango_mm.visualization.domains import show_domain

AE = dict(
    type='mango_mm.MaskedAutoencoder',
    encoder=dict(
        type='MultiStreamBackbone', backbone=dict(type='ConvPyramid', channels=[8, 16]),
        modalities=[dict(name='rgb', channels=3), dict(name='depth_euclidean', channels=1)],
    ),
    feature_channels=16, latent_dim=4, patch_size=4,
    decoder=dict(type='LatentDecoder', channels=[16, 8]),
    data_preprocessor=dict(type='mango_mm.TranslationDataPreprocessor'),
)  # fmt: skip
FLOW = dict(
    type='mango_mm.LatentFlow',
    autoencoder={k: v for k, v in AE.items() if k != 'data_preprocessor'},
    flow=dict(type='MangoFusion', normalize=False, window=(6, 8), depth=2,
              recipe=['actnorm', 'mmca', 'imca', 'lica', 'coupling']),
    data_preprocessor=dict(type='mango_mm.TranslationDataPreprocessor'),
)  # fmt: skip
SIZE = (24, 32)


def build(config, **changes):
    return MODELS.build({**copy.deepcopy(config), **changes})


def images(count=2, size=SIZE):
    return {
        'rgb': torch.rand(count, 3, *size) * 2 - 1,
        'depth_euclidean': torch.rand(count, 1, *size),
    }


def test_masks_hide_whole_patches_at_the_ratio_asked_for():
    torch.manual_seed(0)
    model = build(AE, mask_ratio=0.3, masked_share=1.0)
    mask = model.draw_mask(torch.zeros(400, 3, 22, 30))
    assert mask.shape == (400, 1, 22, 30)
    patches = mask[..., :20, :28].unfold(2, 4, 4).unfold(3, 4, 4).flatten(-2)
    assert ((patches == patches[..., :1]).all(-1)).all()
    assert float(1 - patches.mean()) == pytest.approx(0.3, abs=0.01)
    some = build(AE, masked_share=0.25).draw_mask(torch.zeros(2000, 1, 16, 16))
    assert float((some.flatten(1).min(1).values == 0).float().mean()) == pytest.approx(
        0.25, abs=0.04
    )
    assert build(AE, masked_share=0.0).draw_mask(torch.zeros(3, 1, 8, 8)).all()


def test_the_loss_is_the_error_of_measured_pixels_of_the_whole_image():
    model = build(AE, masked_share=0.0)
    x = images()
    samples = [DataSample() for _ in range(2)]
    masks = (torch.rand(2, 1, *SIZE) > 0.4).float()
    for sample, mask in zip(samples, masks):
        sample.set_tensor_data(dict(mask_depth_euclidean=mask))
    losses = model(x, samples, mode='loss')
    made = model(x)
    error = (made['depth_euclidean'] - x['depth_euclidean']).abs() * masks
    torch.testing.assert_close(losses['loss_depth_euclidean'], error.mean())
    torch.testing.assert_close(losses['loss_rgb'], (made['rgb'] - x['rgb']).abs().mean())
    assert measured(None, 'rgb', x['rgb']).shape == (1, 1, 1, 1)
    # Stacked channels, as segmentation delivers them, are the same images.
    stacked = torch.cat(list(x.values()), 1)
    torch.testing.assert_close(model(stacked)['rgb'], made['rgb'])


def test_odd_sizes_come_back_in_their_size():
    x = images(1, (23, 30))
    assert {m: t.shape for m, t in build(AE)(x).items()} == {m: t.shape for m, t in x.items()}


def test_the_flow_loses_nothing_and_leaves_the_autoencoder_alone():
    torch.manual_seed(0)
    model = build(FLOW)
    model.init_weights()
    model.train()
    assert not model.autoencoder.training
    x = images()
    before = copy.deepcopy(model.autoencoder.state_dict())
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(15):
        loss = model(x, mode='loss')['loss_nll']
        optimiser.zero_grad()
        loss.backward()
        idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert idle == []
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
    for name, value in model.autoencoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    model.eval()
    with torch.no_grad():
        maps = model.autoencoder.encode(x)
        z, nll = model.encode(x)
        assert nll.shape == (2,)
        back = model.features(z)
        for m in maps:
            torch.testing.assert_close(back[m], maps[m], rtol=1e-4, atol=1e-4)
        direct = model.autoencoder.decode(maps, SIZE)
        for m, image in model.decode(z, SIZE).items():
            torch.testing.assert_close(image, direct[m], rtol=1e-4, atol=1e-4)


def test_samples_are_images_of_the_inverse_and_repeatable():
    model = build(FLOW).eval()

    def draw(seed, **options):
        return model.sample(3, SIZE, generator=torch.Generator().manual_seed(seed), **options)

    first, again, other = draw(0), draw(0), draw(1)
    assert {m: tuple(x.shape) for m, x in first.items()} == {
        'rgb': (3, 3, *SIZE), 'depth_euclidean': (3, 1, *SIZE),
    }  # fmt: skip
    torch.testing.assert_close(first, again)
    assert (first['rgb'] - other['rgb']).abs().max() > 1e-4
    cold = draw(0, temperature=0.0)['rgb']
    torch.testing.assert_close(cold[0], cold[1])
    with pytest.raises(ValueError, match='must not be negative; got -1'):
        draw(0, temperature=-1)


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        (lambda: build(AE, mask_ratio=1.5), ValueError, r'mask_ratio must lie in \[0, 1\]'),
        (lambda: build(AE, patch_size=0), ValueError, 'patch_size must be positive'),
        (lambda: build(AE, encoder=dict(type='ConvPyramid')), TypeError, 'got ConvPyramid'),
        (lambda: build(FLOW, flow=dict(type='MangoFusion', window=4)), ValueError, 'normalize=F'),
        (lambda: build(FLOW, flow=dict(type='ConcatFusion')), TypeError, 'got ConcatFusion'),
        (lambda: build(FLOW, autoencoder=dict(type='ConvPyramid')), TypeError, 'got ConvPyramid'),
        (lambda: build(AE)({'rgb': images()['rgb']}), KeyError, r"lacks \['depth_euclidean'\]"),
        (lambda: build(AE)(images(), mode='guess'), ValueError, "got 'guess'"),
        (lambda: build(AE)(images(), mode='predict'), ValueError, 'needs data_samples'),
    ],
)  # fmt: skip
def test_wrong_use_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_depth_is_shown_in_colours_and_rgb_as_it_is():
    white = show_domain(torch.ones(3, 2, 2), 'rgb')
    assert (white == 255).all()
    depth = show_domain(torch.linspace(0, 0.5, 12).view(1, 3, 4), 'depth_euclidean')
    assert depth.shape == (3, 4, 3)
    assert len(np.unique(depth.reshape(-1, 3), axis=0)) > 6


# ---- the real Runner on real files ----


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return write_rooms(tmp_path_factory.mktemp('rooms'), train=8, val=4, size=SIZE, taskonomy=True)


def config(rooms, work_dir, model, iterations):
    steps = [dict(type='mango_mm.LoadDomains'), dict(type='mango_mm.PackDomains')]

    def loader(split, **sampler):
        return dict(
            batch_size=4, num_workers=0, sampler=sampler,
            dataset=dict(
                type='mango_mm.TaskonomyDataset', sources=['rgb', 'depth_euclidean'], target=None,
                data_root=str(rooms), ann_file=f'{split}_domain.txt', pipeline=steps,
            ),
        )  # fmt: skip

    return Config(dict(
        model=model, work_dir=str(work_dir), default_scope='mmagic',
        custom_imports=dict(imports=['mango_mm']), randomness=dict(seed=0),
        experiment_name=Path(work_dir).name, log_level='WARNING',
        train_dataloader=loader('train', type='InfiniteSampler', shuffle=True),
        val_dataloader=loader('val', type='DefaultSampler', shuffle=False),
        val_evaluator=[dict(type='mango_mm.ReconstructionErrors'),
                       dict(type='mango_mm.FlowLikelihood')],
        val_cfg=dict(type='ValLoop'),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=4e-3)),
        default_hooks=dict(
            timer=dict(type='mmengine.IterTimerHook'),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=iterations),
        ),
    ))  # fmt: skip


@pytest.mark.slow
def test_from_pretraining_to_pictures(rooms, tmp_path):
    run = Runner.from_cfg(config(rooms, tmp_path / 'ae', copy.deepcopy(AE), 60))
    before = run.val()
    run.train()
    after = run.val()
    assert after['MAE_rgb'] < 0.8 * before['MAE_rgb'], (before, after)
    assert after['MAE_depth_euclidean'] < 0.8 * before['MAE_depth_euclidean'], (before, after)
    weights = tmp_path / 'ae' / 'iter_60.pth'

    flow = copy.deepcopy(FLOW)
    flow['autoencoder']['init_cfg'] = dict(type='Pretrained', checkpoint=str(weights))
    read = config(rooms, tmp_path / 'flow', flow, 20)
    run = Runner.from_cfg(read)
    run.train()
    trained = run.model.autoencoder.state_dict()
    for name, value in torch.load(weights, weights_only=True)['state_dict'].items():
        torch.testing.assert_close(trained[name], value, rtol=0, atol=0)
    read.dump(tmp_path / 'flow.py')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', 'tools/analyse/generate.py', str(tmp_path / 'flow.py'),
         str(tmp_path / 'flow'), '--out', str(tmp_path / 'out'), '--count', '3'],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    errors = json.loads((tmp_path / 'out/generation.json').read_text())
    assert errors['MAE_rgb'] == pytest.approx(after['MAE_rgb'], rel=1e-4)
    assert errors['flow_MAE_rgb'] < 1e-4
    assert errors['flow_error'] < 1e-3
    for name in ('reconstruction', 'samples', 'interpolation', 'swap'):
        assert np.asarray(Image.open(tmp_path / 'out' / f'{name}.png')).std() > 1


def test_a_segmentation_backbone_starts_from_the_pretrained_encoder(tmp_path):
    model = build(AE)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'ae.pth')
    backbone = MODELS.build(dict(
        **AE['encoder'] | dict(type='mango_mm.MultiStreamBackbone'),
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'ae.pth'), prefix='encoder.'),
    ))  # fmt: skip
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, model.encoder.state_dict()[name], rtol=0, atol=0)


def test_a_data_set_without_a_target_has_masks_of_all_its_domains(rooms):
    data = TaskonomyDataset(
        ['rgb', 'depth_euclidean'], None, data_root=str(rooms),
        pipeline=[dict(type='mango_mm.LoadDomains'), dict(type='mango_mm.PackDomains')],
    )  # fmt: skip
    sample = data[0]
    assert set(sample['inputs']) == {'rgb', 'depth_euclidean'}
    assert sample['data_samples'].mask_depth_euclidean.shape == (1, *SIZE)
    assert 'gt_img' not in sample['data_samples']


def test_the_tool_names_what_it_cannot_use(tmp_path):
    tool = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', 'tools/analyse/generate.py',
         'configs/concat/concat-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py',
         str(tmp_path), '--out', str(tmp_path / 'out')],
        capture_output=True, text=True, check=False, cwd=tool,
    )  # fmt: skip
    assert done.returncode != 0
    assert 'needs a config of a LatentFlow' in done.stderr.splitlines()[-1]
