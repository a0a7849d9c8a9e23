"""Every shipped config is consistent; every model among them starts where it should and steps.

A model that several configs share, up to its classes and the statistics of their data, is built
and stepped for the first of them. Paper-size models are scaled by overriding sizes only.
"""

import ast
import copy
import json
import re
from pathlib import Path

import pytest
import torch
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mango_mm import flows
from mango_mm.apis import load_config
from mango_mm.datasets.mm_imdb import GENRES
from mango_mm.domains import get_domain
from mango_mm.modalities import channels_by_name, specs_by_name
from mango_mm.registry import DATASETS, MODELS
from mango_mm.structures import MultiLabelSample, SequenceSample

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
BASE = CONFIGS / '_base_'
FILES = sorted(CONFIGS.rglob('*.py'))
ALL = [p for p in FILES if '_base_' not in p.parts]
TARGETS = ('2depth', '2rgb', '2normal', '2shade')
TRANSLATION = [p for p in ALL if any(t in p.stem for t in TARGETS)]
MOVIES = [p for p in ALL if 'movies' in p.stem or 'mm-imdb' in p.stem]
SEQUENCES = [p for p in ALL if 'sequences' in p.stem]
AUTOENCODERS = [p for p in ALL if p.parent.name == 'autoencoder']
OTHERS = {*TRANSLATION, *MOVIES, *SEQUENCES, *AUTOENCODERS}
LEAVES = [p for p in ALL if p not in OTHERS]  # segmentation
PLOTS = ['war and love', 'love and space']


def without_data(part):
    """A model's config without what its data decide: classes, statistics, the preprocessor."""
    if isinstance(part, dict):
        own = {k: v for k, v in part.items() if k not in ('num_classes', 'data_preprocessor')}
        if isinstance(own.get('modalities'), list):
            own['modalities'] = list(specs_by_name(own['modalities']))
        return {k: without_data(v) for k, v in own.items()}
    if isinstance(part, (list, tuple)):
        return [without_data(x) for x in part]
    return part


def distinct(paths):
    """The first config of every model and, of translators, of every optimiser."""
    found = {}
    for path in paths:
        config = load_config(path).to_dict()
        kept = [without_data(config['model'])]
        if path in TRANSLATION:
            kept.append(config['optim_wrapper'])
        found.setdefault(json.dumps(kept, sort_keys=True), path)
    return [pytest.param(path, id=path.stem) for path in found.values()]


STEPPED = [distinct(paths) for paths in (LEAVES, TRANSLATION, MOVIES, AUTOENCODERS, SEQUENCES)]


def stems(paths):
    return [p.stem for p in paths]


def test_all_leaves_were_found():
    # Change together with configs/; a silent 0 once passed upstream.
    counts = tuple(map(len, (LEAVES, TRANSLATION, MOVIES, AUTOENCODERS, SEQUENCES)))
    assert counts == (94, 33, 28, 2, 11)
    assert tuple(map(len, STEPPED)) == (68, 30, 27, 2, 11)
    assert len(ALL) == sum(counts) <= 168


def core_of(config):
    """The segmentor: the model, or what an algorithm trains."""
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
            teacher = spec.config
            if isinstance(teacher, str):
                assert Path(spec.checkpoint).parent.name == Path(spec.config).stem
                teacher = load_config(CONFIGS.parent / spec.config).model
            built = MODELS.build(teacher)
            if hasattr(built, 'fit_vocabulary'):
                built.fit_vocabulary(PLOTS)
            spec.checkpoint = str(folder / f'{m}.pth')
            torch.save({'state_dict': built.state_dict()}, spec.checkpoint)
    encoders = config.model.get('encoders') or {}
    encoders = encoders if isinstance(encoders, list) else encoders.values()
    started = [config.model.get('backbone'), *encoders]
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
    elif backbone.type.endswith('TIMMBackbone'):
        # Shapes of the weights are in tests/models/test_encoders.py.
        for part in (backbone, *(core.backbone.get('backbones') or {}).values()):
            part.pop('init_cfg')
        channels = None
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


@pytest.mark.parametrize('path', STEPPED[0])
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
    channels = sum(channels_by_name(config.modalities).values())
    losses = model(torch.randn(2, channels, *size), samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize('path', ALL, ids=stems(ALL))
def test_its_header_says_how_to_run_it_what_it_needs_and_what_it_gave(path):
    text = path.read_text()
    header = ast.get_docstring(ast.parse(text))
    assert text.startswith('"""')
    assert f'Run:     python tools/train.py configs/{path.relative_to(CONFIGS)}\n' in header
    assert len(re.findall('^Needs:   .', header, re.MULTILINE)) == 1
    assert len(re.findall('^Ours:    .', header, re.MULTILINE)) == 1
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize('path', LEAVES, ids=stems(LEAVES))
def test_its_data_are_consistent(path):
    config = load_config(path)
    dataset = DATASETS.get(config.train_dataloader.dataset.type)
    assert len(dataset.METAINFO['classes']) == config.num_classes
    assert head_of(config).num_classes == config.num_classes
    core = core_of(config)
    spec = core.data_preprocessor.modalities
    assert spec == config.modalities
    # The same in the same order wherever modalities are named.
    assert core.backbone.modalities == spec
    if core.get('neck'):
        assert core.neck.modalities == spec
        assert 'nll_weight' in core.neck
    if 'modalities' in core.decode_head:
        assert core.decode_head.modalities == spec
    for hook in config.custom_hooks:
        if hook.type == 'mango_mm.MissingModalityHook':
            assert channels_by_name(hook.modalities) == channels_by_name(spec)
    assert ('dropout' in path.stem) == ('MissingModalityHook' in str(config.custom_hooks))
    assert ('dropout' in path.stem) == ('DropModality' in str(config.train_dataloader))


# Width and height of releases whose images all have one size: they are tested as they come.
NATIVE = {
    'deliver_1024x1024': (1042, 1042),
    'fmb_600x800': (800, 600),
    'mcubes_512x512': (1224, 1024),
    'mfnet_480x640': (640, 480),
    'muses_512x1024': (1920, 1080),
    'nyuv2-mini_256x256': (341, 256),
    'pst900_720x1280': (1280, 720),
}
DATA = sorted((BASE / 'datasets').glob('*.py'))


def resized_to(pipeline):
    """Width and height that a pipeline resizes to, without its jitter; None: nothing does."""
    for step in pipeline:
        if step['type'] in ('Resize', 'RandomResize'):
            return tuple(step['scale'])
        if step['type'] == 'mango_mm.ResizeDomains':
            return tuple(step['size'])[::-1]
    return None


@pytest.mark.parametrize('path', DATA, ids=stems(DATA))
def test_data_are_tested_at_the_size_they_are_trained_at(path):
    """Else a score is that of another scale, without a word; MANGO lost fifteen mIoU by it."""
    config = Config.fromfile(path)
    trained = resized_to(config.get('train_pipeline', ()))
    if trained is None:
        assert 'sequences' in path.stem  # the only data without images
        return
    tested = resized_to(config.test_pipeline)
    assert (tested is None) == (path.stem in NATIVE)
    for one, other in zip(trained, tested or NATIVE[path.stem]):
        assert 0.8 < one / other < 1.2
    if 'tta_pipeline' in config:
        (augmented,) = (x for x in config.tta_pipeline if x['type'] == 'TestTimeAug')
        sizes = [x for x in augmented['transforms'][0] if x['type'] == 'Resize']
        assert len(sizes) == 3
        if tested is None:  # of the file's size, which is that of the release
            assert [x['scale_factor'] for x in sizes] == [0.75, 1.0, 1.25]
        else:
            wanted = [tuple(int(x * r) for x in tested) for r in (0.75, 1.0, 1.25)]
            assert [tuple(x['scale']) for x in sizes] == wanted


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


@pytest.mark.parametrize('path', TRANSLATION, ids=stems(TRANSLATION))
def test_a_translation_config_fits_its_data(path):
    config = load_config(path)
    data = config.train_dataloader.dataset
    sources = channels_by_name(config.model.sources)
    assert set(sources) <= set(data.sources)
    for name, channels in sources.items():
        assert get_domain(name).channels == channels
    target = get_domain(data.target).channels
    assert config.model.decoder.out_channels == target
    if config.model.get('discriminator'):
        seen = sum(sources.values()) + target
        assert config.model.discriminator.in_channels == seen


@pytest.mark.parametrize('path', STEPPED[1])
def test_a_translation_config_builds_and_takes_a_step(path):
    config = shrink_translator(load_config(path))
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    target = config.model.decoder.out_channels
    size = (64, 96)
    sources = channels_by_name(config.model.sources)
    inputs = {m: torch.rand(2, c, *size) * 2 - 1 for m, c in sources.items()}
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


@pytest.mark.parametrize('path', MOVIES, ids=stems(MOVIES))
def test_a_movie_config_knows_its_genres(path):
    config = load_config(path)
    assert config.num_classes == core_of(config).num_classes == len(config.genres or GENRES)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if config.get(loader):  # pretraining validates nothing
            assert config[loader].dataset.genres == config.genres


@pytest.mark.parametrize('path', STEPPED[2])
def test_a_movie_config_builds_and_takes_a_step(path, tmp_path):
    config = load_config(path)
    genres = config.genres or GENRES
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
    if 'minilm' in path.stem:  # the image encoder as shipped, without its weights
        teachers = (config.model.get('teachers') or {}).values()
        for own in (encoders, *(spec.config.encoders for specs in teachers for spec in specs)):
            own.image.encoder.backbone.pop('init_cfg')
            own.text.encoder = dict(type='WordTextEncoder', dim=8, num_heads=2, max_length=77)
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


@pytest.mark.parametrize('path', STEPPED[4])
def test_a_sequence_config_builds_and_takes_a_step(path, tmp_path):
    config = load_config(path)
    init_default_scope(config.default_scope)
    provide(config, tmp_path)
    model = MODELS.build(config.model)
    model.init_weights()
    student = getattr(model, 'student', model)
    assert tuple(student.data_preprocessor.channels) == tuple(m.name for m in config.modalities)
    inputs, samples = {}, []
    for m in config.modalities:
        longest = {'signal': 24, 'text': 12, 'image': 9}[m.name]
        inputs[m.name] = torch.randn(4, longest, m.channels), torch.ones(4, longest).bool()
    for value in (-2.0, 0.0, 1.0, 3.0):
        sample = SequenceSample(metainfo=dict(sample_id=str(value)))
        sample.gt_label = torch.tensor([value])
        samples.append(sample)
    losses = model(inputs, samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize('path', STEPPED[3])
def test_an_autoencoder_config_builds_and_takes_a_step(path):
    config = load_config(path)
    parts = config.model.get('autoencoder', config.model)
    channels = channels_by_name(parts.encoder.modalities)
    assert list(channels) == config.train_dataloader.dataset.sources
    if 'autoencoder' in config.model:
        config.model.autoencoder.pop('init_cfg')  # no trained one here
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    inputs = {m: torch.rand(1, c, *config.crop_size) for m, c in channels.items()}
    total, _ = model.parse_losses(model(inputs, mode='loss'))
    total.backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


# ---- How configs are written ----


def bases_of(path):
    """The files in ``_base_``, as written."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            given = ast.literal_eval(node.value)
            return [given] if isinstance(given, str) else given
    return []


def deletions(path):
    """``(place, keys)`` of every dict with ``_delete_=True``: where it is, what else it has."""
    # {{_base_.x}} is a set of a set to Python, which parses it; it is never run here.
    found = []

    def walk(node, place):
        if not isinstance(node, ast.Call) or getattr(node.func, 'id', '') != 'dict':
            return
        keys = {k.arg for k in node.keywords}
        if '_delete_' in keys:
            found.append((place, keys - {'_delete_'}))
        for keyword in node.keywords:
            walk(keyword.value, [*place, keyword.arg])

    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            walk(node.value, [node.targets[0].id])
    return found


def inherited(path):
    """What a config's bases come to before it changes anything."""
    merged = {}
    for base in bases_of(path):
        merged.update(Config.fromfile(path.parent / base).to_dict())
    return merged


def deletes_nothing(path, place, keys):
    replaced = inherited(path)
    for key in place:
        if not isinstance(replaced, dict) or key not in replaced:
            return True
        replaced = replaced[key]
    return not isinstance(replaced, dict) or not set(replaced) - keys


def test_every_delete_deletes_something():
    useless, count = [], 0
    for path in FILES:
        found = deletions(path)
        # None may hide where the walk does not go: in a list, or as a key of a literal.
        assert path.read_text().count('_delete_') == len(found), path
        count += len(found)
        useless += [
            (path.stem, place) for place, keys in found if deletes_nothing(path, place, keys)
        ]
    assert useless == []
    assert count > 20


def test_a_delete_that_deletes_nothing_is_found(tmp_path):
    (tmp_path / 'base.py').write_text("model = dict(neck=dict(fusion=dict(type='A'), dim=1))\n")
    cases = {
        "fusion=dict(_delete_=True, type='B', depth=2)": True,  # A has nothing but its type
        'fusion=dict(_delete_=True, depth=2)': False,  # the type goes
        "head=dict(_delete_=True, type='B')": True,  # there was none
    }
    for i, (text, expected) in enumerate(cases.items()):
        path = tmp_path / f'leaf{i}.py'
        path.write_text(f"_base_ = './base.py'\nmodel = dict(neck=dict({text}))\n")
        ((place, keys),) = deletions(path)
        assert deletes_nothing(path, place, keys) == expected, text


def test_a_leaf_is_named_after_its_setting_and_every_base_is_used():
    used = {(BASE / 'fsdp.py').resolve()}  # goes behind another config
    for path in FILES:
        for base in bases_of(path):
            source = (path.parent / base).resolve()
            used.add(source)
            if '_base_' not in path.parts:
                # The streams, the schedule, the data and their size.
                ends = source.stem.split('_')[-3:]
                assert source.parent.name == 'models' or path.stem.split('_')[-3:] == ends
    unused = {p.resolve() for p in BASE.rglob('*.py')} - used
    assert sorted(p.name for p in unused) == []


def test_the_readme_links_every_leaf_once_in_the_row_and_column_of_what_it_is():
    text = (CONFIGS / 'README.md').read_text()
    links = re.findall(r'\]\(([^)#]+)\)', text)
    assert [x for x in links if not (CONFIGS / x).exists()] == []
    columns, cells = [], {}
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip('|').split('|')]
        if not line.startswith('|'):
            columns = []
        elif row[0] == 'method':
            columns = [cell.strip('`') for cell in row[1:]]
        elif columns and not line.startswith('|---'):
            (folder,) = re.findall(r'\((\w+)/README\.md\)', row[0])
            for column, cell in zip(columns, row[1:]):
                for link in re.findall(r'\]\(([^)]+\.py)\)', cell):
                    assert link not in cells
                    cells[link] = (folder, column)
    assert sorted(cells) == sorted(str(p.relative_to(CONFIGS)) for p in ALL)
    for link, (folder, column) in cells.items():
        path = Path(link)
        assert path.parent.name == folder
        assert path.stem.split('_')[-1].rpartition('-')[0] == column
        assert links.count(link) == 1
