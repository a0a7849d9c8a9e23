"""Every shipped config builds, starts its flow where it should, and trains one step.

Paper-size models are scaled by overriding sizes only.
"""

import copy
from pathlib import Path

import pytest
import torch
from mmagic.structures import DataSample
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mango_mm import flows
from mango_mm.apis import load_config
from mango_mm.datasets.mm_imdb import GENRES
from mango_mm.domains import get_domain
from mango_mm.registry import DATASETS, MODELS
from mango_mm.structures import MultiLabelSample

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ALL = sorted(p for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)
TARGETS = ('2depth', '2rgb', '2normal', '2shade')
TRANSLATION = [p for p in ALL if any(t in p.stem for t in TARGETS)]
FILMS = [p for p in ALL if 'movies' in p.stem or 'mm-imdb' in p.stem]
AUTOENCODERS = [p for p in ALL if p.parent.name == 'autoencoder']
OTHERS = {*TRANSLATION, *FILMS, *AUTOENCODERS}
LEAVES = [p for p in ALL if p not in OTHERS]  # segmentation
IDS = [p.stem for p in LEAVES]
PLOTS = ['war and love', 'love and space']


def test_all_leaves_were_found():
    # Change together with configs/; a silent 0 once passed upstream.
    counts = (len(LEAVES), len(TRANSLATION), len(FILMS), len(AUTOENCODERS))
    assert counts == (212, 38, 40, 2)


def core_of(config):
    """The segmentor: the model, or what a strategy trains."""
    return config.model.get('student', config.model)


def head_of(config):
    """The decode head, or that of every modality."""
    head = core_of(config).decode_head
    return head.get('head', head)


def provide(config, folder):
    """Write the checkpoints that a model starts from; random weights, of the right models."""
    specs = config.model.get('teachers') or {}
    for m, given in specs.items():
        for spec in given if isinstance(given, list) else [given]:
            assert Path(spec.checkpoint).parent.name == Path(spec.config).stem
            teacher = load_config(CONFIGS.parent / spec.config).model
            built = MODELS.build(teacher)
            if hasattr(built, 'fit_vocabulary'):
                built.fit_vocabulary(PLOTS)
            spec.checkpoint = str(folder / f'{m}.pth')
            torch.save({'state_dict': built.state_dict()}, spec.checkpoint)
    started = [config.model.get('backbone'), *(config.model.get('encoders') or {}).values()]
    for part in filter(None, started):
        if (part.get('init_cfg') or {}).get('type') == 'Pretrained':
            source = Path(part.init_cfg.checkpoint)
            leaf = next(p for p in ALL if p.stem == source.parent.name)
            last = load_config(leaf).train_cfg.max_iters
            assert source.name == f'iter_{last}.pth'
            pretrained = MODELS.build(load_config(leaf).model)
            part.init_cfg.checkpoint = str(folder / 'pretrained.pth')
            torch.save({'state_dict': pretrained.state_dict()}, part.init_cfg.checkpoint)


def shrink(config):
    """Smaller widths and depths; everything else as shipped."""
    core = core_of(config)
    backbone = core.backbone.backbone
    neck = core.get('neck') or {}
    if backbone.type == 'PatchPixels':
        channels = None  # nothing to shrink but the flow
        core.neck.fusion.depth = 1
    elif backbone.type.endswith('VisionTransformer') and 'patch_size' in backbone:
        backbone.update(
            embed_dims=24, num_layers=1, num_heads=2, out_indices=[0], img_size=(64, 64)
        )
        channels = [24]
    elif backbone.embed_dims == 32 and backbone.num_stages == 2:
        channels = None  # small already
    else:
        backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
        channels = [8, 16, 40, 64]
    if channels:
        head_of(config).update(in_channels=channels, channels=16)
        if neck:
            neck.update(in_channels=channels)
    if neck and neck.get('dim'):
        neck.update(dim=8)
    head_of(config).norm_cfg = dict(type='BN')
    return config


@pytest.mark.parametrize('path', LEAVES, ids=IDS)
def test_it_builds_and_takes_a_step(path, tmp_path):
    config = shrink(load_config(path))
    init_default_scope(config.default_scope)
    provide(config, tmp_path)
    model = MODELS.build(config.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, flows.AffineCoupling):
            assert not module.conditioner[-1].weight.any()
        if isinstance(module, flows.InvertibleCrossAttention):
            gates = module.gates()
            torch.testing.assert_close(gates, torch.full_like(gates, module.gate_init))
    size = (64, 96) if 'vit' in path.stem else (72, 96)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        labels = torch.randint(0, config.num_classes, (1, *size))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    losses = model(torch.randn(2, 4, *size), samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize('path', LEAVES, ids=IDS)
def test_its_header_and_data_are_consistent(path):
    text = path.read_text()
    assert text.startswith('"""')
    assert f'python tools/train.py configs/{path.relative_to(CONFIGS)}' in text
    assert len(text.splitlines()) <= 40
    config = load_config(path)
    dataset = DATASETS.get(config.train_dataloader.dataset.type)
    assert len(dataset.METAINFO['classes']) == config.num_classes
    assert head_of(config).num_classes == config.num_classes
    spec = core_of(config).data_preprocessor.modalities
    streams = core_of(config).backbone.modalities
    assert {k: v.channels for k, v in spec.items()} == dict(streams)
    if core_of(config).get('neck'):
        assert 'nll_weight' in core_of(config).neck


def shrink_translator(config):
    """The transformer generator with an eighth of its width and one layer a stage."""
    if config.model.encoder.type == 'ConvPyramid':
        return config
    channels = [8, 16, 32, 64, 128]
    config.model.encoder.update(embed_dims=8, num_layers=[1] * 5)
    config.model.neck.update(in_channels=channels)
    if 'depth' in config.model.neck.fusion:
        config.model.neck.update(dim=16)
        config.model.neck.fusion.update(depth=1, window=4)
    config.model.decoder.in_channels = channels
    for block in config.model.decoder.blocks:
        block.update(embed_dims=8, num_layers=[1])
    config.model.discriminator.base_channels = 4
    return config


@pytest.mark.parametrize('path', TRANSLATION, ids=[p.stem for p in TRANSLATION])
def test_a_translation_config_builds_and_takes_a_step(path):
    text = path.read_text()
    assert f'python tools/train.py configs/{path.relative_to(CONFIGS)}' in text
    config = shrink_translator(load_config(path))
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    data = config.train_dataloader.dataset
    assert set(config.model.sources) <= set(data.sources)
    for name, channels in config.model.sources.items():
        assert get_domain(name).channels == channels
    target = get_domain(data.target).channels
    assert config.model.decoder.out_channels == target
    size = (64, 96)
    inputs = {m: torch.rand(2, c, *size) * 2 - 1 for m, c in config.model.sources.items()}
    samples = []
    for _ in range(2):
        sample = DataSample()
        images = dict(gt_img=torch.rand(target, *size), gt_mask=torch.ones(1, *size))
        sample.set_tensor_data(images)
        samples.append(sample)
    losses = model(inputs, samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    model.parse_losses(losses)[0].backward()
    learning = [(n, p) for n, p in model.named_parameters() if not n.startswith('discriminator')]
    assert [n for n, p in learning if p.requires_grad and p.grad is None] == []
    optimisers = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
    batch = dict(inputs={m: list(x) for m, x in inputs.items()}, data_samples=samples)
    log = model.train_step(batch, optimisers)
    assert ('loss_disc_fake' in log) == ('gan' in path.stem)
    assert all(torch.isfinite(value) for value in log.values())
    assert all(p.isfinite().all() for p in model.parameters())


def test_translation_configs_show_sources_target_and_output():
    for path in TRANSLATION:
        config = load_config(path)
        data = config.train_dataloader.dataset
        shown = [f'source_{name}' for name in data.sources] + ['gt_img', 'pred_img']
        assert config.visualizer.img_keys == shown
        assert set(config.visualizer.pixel_range) == set(shown)


@pytest.mark.parametrize('path', FILMS, ids=[p.stem for p in FILMS])
def test_a_film_config_builds_and_takes_a_step(path, tmp_path):
    text = path.read_text()
    assert f'python tools/train.py configs/{path.relative_to(CONFIGS)}' in text
    config = load_config(path)
    genres = config.genres or GENRES
    assert config.num_classes == core_of(config).num_classes == len(genres)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if config.get(loader):  # pretraining validates nothing
            assert config[loader].dataset.genres == config.genres
    size = config.train_dataloader.dataset.pipeline[1].scale
    encoders = core_of(config).encoders
    if 'mm-imdb' in path.stem:  # paper size: small encoders in the same places
        encoders.image = dict(
            type='BackboneTokens', backbone=dict(type='ConvPyramid', channels=[8] * 4), out_dim=8
        )
        encoders.text = dict(type='WordTextEncoder', dim=8, num_heads=2, max_length=77)
        config.model.dim = 32
        if config.model.get('fusion') and 'depth' in config.model.fusion:
            config.model.fusion.depth = 1
    init_default_scope(config.default_scope)
    provide(config, tmp_path)
    model = MODELS.build(config.model)
    model.init_weights()
    model.fit_vocabulary(PLOTS)
    samples = []
    for _ in range(2):
        sample = MultiLabelSample(metainfo=dict(present=dict(image=True, text=True)))
        sample.gt_label = torch.randint(0, 2, (len(genres),)).float()
        samples.append(sample)
    inputs = {'image': torch.randn(2, 3, size[1], size[0]), 'text': PLOTS}
    losses = model(inputs, samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize('path', AUTOENCODERS, ids=[p.stem for p in AUTOENCODERS])
def test_an_autoencoder_config_builds_and_takes_a_step(path):
    config = load_config(path)
    assert f'python tools/train.py configs/{path.relative_to(CONFIGS)}' in path.read_text()
    parts = config.model.get('autoencoder', config.model)
    assert list(parts.encoder.modalities) == config.train_dataloader.dataset.sources
    if 'autoencoder' in config.model:
        config.model.autoencoder.pop('init_cfg')  # no trained one here
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    inputs = {m: torch.rand(1, c, *config.crop_size) for m, c in parts.encoder.modalities.items()}
    total, _ = model.parse_losses(model(inputs, mode='loss'))
    total.backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
