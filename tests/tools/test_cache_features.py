"""Features from a cache are those from images: losses, predictions, a whole training."""

import ast
import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from rooms import ROOT, SHORT, iterations, make_rooms, run

from mango_mm.analysis import cache_features as writing
from mango_mm.analysis.cache_features import cache_features
from mango_mm.apis import load_config, open_model
from mango_mm.apis import test as evaluate
from mango_mm.apis import train as train_config
from mango_mm.apis.run import use_feature_cache
from mango_mm.datasets import CachedFeatures
from mango_mm.datasets.cached_features import recipe_of
from mango_mm.datasets.draws import Draw
from mango_mm.engine.hooks import MissingModalityHook
from mango_mm.files import COMPLETE
from mango_mm.models.cached_inputs import weights_hash
from mango_mm.pipelines import innermost, plain_training_loader, with_pipeline
from mango_mm.registry import DATASETS, MODELS

CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
MIND = ROOT / 'configs/mind/mind_small_1xb8-600it_mini-rooms-72x96.py'


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return make_rooms(tmp_path_factory.mktemp('rooms'))


@pytest.fixture(autouse=True)
def _data(rooms, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(rooms))


def options_of(frozen, weights):
    pairs = (x.split('=', 1) for x in (*SHORT, *iterations(2, 2)))
    found = {k: ast.literal_eval(v) for k, v in pairs}
    return {
        **found,
        'model.backbone.frozen': frozen,
        'model.backbone.init_cfg': dict(
            type='Pretrained', checkpoint=str(weights), prefix='backbone.'
        ),
    }


@pytest.fixture(scope='module')
def weights(rooms, tmp_path_factory):
    """Of encoders that nobody has but this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_ROOMS', str(rooms))
        torch.manual_seed(3)
        _, model = open_model(CONCAT)
        path = tmp_path_factory.mktemp('weights') / 'encoders.pth'
        torch.save({'state_dict': model.state_dict()}, path)
        return path


@pytest.fixture(scope='module')
def cache(rooms, weights, tmp_path_factory):
    """In float32, two views, and a version with noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_ROOMS', str(rooms))
        return cache_features(
            CONCAT, tmp_path_factory.mktemp('caches') / 'rooms', views=2, dtype='float32',
            degradations=[('rgb_noise', 3)], options=options_of(True, weights),
        )  # fmt: skip


def frozen_model(weights):
    read, model = open_model(CONCAT, options=options_of(True, weights))
    model.load_state_dict(torch.load(weights, weights_only=True)['state_dict'])
    return read, model


def test_losses_of_every_view_are_those_from_images(cache, weights):
    read, model = frozen_model(weights)
    model.train()
    model.decode_head.dropout = None
    plain = DATASETS.build(read.train_dataloader.dataset)
    cached = CachedFeatures(read.train_dataloader.dataset, cache)
    assert len(cached) == len(plain) == 8
    seen = []
    for view in range(2):
        images = [plain[Draw.of(i, 0, view, i)] for i in range(4)]
        features = [cached.sample(i, view) for i in range(4)]
        wanted = model(**model.data_preprocessor(pseudo_collate(images), True), mode='loss')
        found = model(**model.data_preprocessor(pseudo_collate(features), True), mode='loss')
        assert set(found) == set(wanted)
        for name in wanted:
            torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)
        seen.append(wanted['decode.loss_ce'].item())
    assert seen[0] != seen[1]  # the views differ


@pytest.mark.parametrize('split', ['val', 'val-rgb_noise-3'])
def test_predictions_are_those_from_images(cache, weights, split):
    read, model = frozen_model(weights)
    own = read.val_dataloader.dataset
    if split != 'val':
        own = json.loads(
            json.loads((cache / 'manifest.json').read_text())['splits'][split]['recipe']
        )
        own['data_root'] = read.val_dataloader.dataset.data_root
        for step in own['pipeline']:  # JSON knows no tuples, and Resize nothing else
            if 'scale' in step and step['type'] == 'Resize':
                step['scale'] = tuple(step['scale'])
    plain, cached = DATASETS.build(own), CachedFeatures(own, cache)
    for index in range(len(plain)):
        with torch.no_grad():
            wanted = model.test_step(pseudo_collate([plain[index]]))[0]
            found = model.test_step(pseudo_collate([cached[index]]))[0]
        torch.testing.assert_close(
            found.seg_logits.data, wanted.seg_logits.data, rtol=1e-4, atol=1e-5
        )
        assert torch.equal(found.gt_sem_seg.data, wanted.gt_sem_seg.data)
        assert found.ori_shape == wanted.ori_shape


def test_what_is_trained_from_the_cache_tests_alike_on_images(cache, weights, tmp_path):
    options = {**options_of(True, weights), 'feature_cache': str(cache)}
    runner = train_config(CONCAT, work_dir=tmp_path / 'run', options=options)
    assert isinstance(runner.train_dataloader.dataset, CachedFeatures)
    trained = runner.model.state_dict()
    start = torch.load(weights, weights_only=True)['state_dict']
    for name, value in trained.items():  # batch norm's statistics too
        if name.startswith('backbone.'):
            assert torch.equal(value, start[name]), name
    assert not torch.equal(
        trained['decode_head.conv_seg.weight'], start['decode_head.conv_seg.weight']
    )
    last = tmp_path / 'run' / 'iter_2.pth'
    from_cache = evaluate(CONCAT, last, work_dir=tmp_path / 'a', options=options)
    from_images = evaluate(CONCAT, last, work_dir=tmp_path / 'b', options=options_of(True, weights))
    assert from_cache == pytest.approx(from_images, abs=0.02)
    assert 'mIoU' in from_cache
    saved = load_config(tmp_path / 'run' / CONCAT.name)  # what reads images can use it
    assert saved.feature_cache == str(cache)
    assert saved.train_dataloader.dataset == load_config(CONCAT).train_dataloader.dataset
    held = {**options, 'hold_out': 3}
    for images in (dict(tta=True), dict(show_dir=tmp_path / 'panels')):
        with pytest.raises(ValueError, match='--tta and --show-dir read images'):
            evaluate(CONCAT, last, work_dir=tmp_path / 'c', options=held, **images)
    assert list((tmp_path / 'run').glob('*/panels/*/*.png'))


def mind_options(cache, weights, teacher_weights, tmp_path):
    """Of the MIND config of rooms, with frozen encoders in student and teachers, on the cache."""
    frozen = {'frozen': True, 'init_cfg': options_of(True, weights)['model.backbone.init_cfg']}
    teachers = {}
    for m in ('rgb', 'depth'):
        config = load_config(
            ROOT / f'configs/unimodal/{m}_small_1xb8-600it_mini-rooms-72x96.py'
        ).model
        config.backbone.update({**frozen, 'init_cfg': {**frozen['init_cfg']}})
        config.backbone.init_cfg.checkpoint = str(teacher_weights[m])
        model = MODELS.build(config)
        model.init_weights()
        torch.save({'state_dict': model.state_dict()}, tmp_path / f'{m}.pth')
        teachers[m] = [dict(config=config.to_dict(), checkpoint=str(tmp_path / f'{m}.pth'))]
    shared = {k: v for k, v in options_of(True, weights).items() if not k.startswith('model.')}
    student = {f'model.student.backbone.{k}': v for k, v in frozen.items()}
    return {**shared, **student, 'model.teachers': teachers, 'feature_cache': str(cache)}


def test_mind_reads_the_cache_if_its_teachers_have_the_same_encoders(cache, weights, tmp_path):
    same = dict.fromkeys(('rgb', 'depth'), weights)
    options = mind_options(cache, weights, same, tmp_path)
    runner = train_config(MIND, work_dir=tmp_path / 'run', options=options)
    assert isinstance(runner.train_dataloader.dataset, CachedFeatures)
    model = runner.model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    read = load_config(MIND, options={**options, 'feature_cache': ''})
    plain = DATASETS.build(read.train_dataloader.dataset)
    cached = CachedFeatures(read.train_dataloader.dataset, cache)
    images = [plain[Draw.of(i, 0, 1, i)] for i in range(4)]
    features = [cached.sample(i, 1) for i in range(4)]
    wanted = model(**model.data_preprocessor(pseudo_collate(images), True), mode='loss')
    found = model(**model.data_preprocessor(pseudo_collate(features), True), mode='loss')
    assert {'loss_distill_rgb', 'loss_distill_depth'} <= set(found) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)

    other = tmp_path / 'other.pth'
    state = torch.load(weights, weights_only=True)['state_dict']
    torch.save({'state_dict': {k: v + 0.01 for k, v in state.items()}}, other)
    options = mind_options(cache, weights, {**same, 'rgb': other}, tmp_path)
    with pytest.raises(ValueError, match=r"encoder of \['rgb'\] in the teacher .*rgb.pth is not"):
        train_config(MIND, work_dir=tmp_path / 'wrong', options=options)


def test_mla_trains_from_the_cache(cache, weights, tmp_path):
    config = ROOT / 'configs/mla/mla_small_1xb8-600it_mini-rooms-72x96.py'
    options = {
        k.replace('model.', 'model.student.', 1): v for k, v in options_of(True, weights).items()
    }
    options['feature_cache'] = str(cache)
    runner = train_config(config, work_dir=tmp_path / 'run', options=options)
    assert isinstance(runner.train_dataloader.dataset, CachedFeatures)
    start = torch.load(weights, weights_only=True)['state_dict']
    trained = runner.model.student.state_dict()
    assert all(torch.equal(trained[k], v) for k, v in start.items() if k.startswith('backbone.'))
    found = evaluate(
        config, tmp_path / 'run' / 'iter_2.pth', work_dir=tmp_path / 'a', options=options
    )
    assert 'mIoU' in found


def test_half_precision_is_close(cache, weights, tmp_path):
    half = cache_features(CONCAT, tmp_path / 'half', options=options_of(True, weights))
    read, _ = frozen_model(weights)
    exact = CachedFeatures(read.val_dataloader.dataset, cache)[0]['inputs']
    found = CachedFeatures(read.val_dataloader.dataset, half)[0]['inputs']
    for m, stages in exact.items():
        for a, b in zip(stages, found[m]):
            assert b.dtype == torch.float16
            torch.testing.assert_close(b.float(), a, rtol=1e-3, atol=1e-3)


def test_every_view_is_drawn_and_a_seed_draws_the_same(cache, weights):
    read, _ = frozen_model(weights)
    cached = CachedFeatures(read.train_dataloader.dataset, cache)
    arrays = cached.arrays['rgb'][0]
    drawn = set()
    for place in range(12):
        first = cached[Draw.of(1, 0, place)]['inputs']['rgb'][0].numpy()
        drawn |= {view for view in range(2) if np.array_equal(first, arrays[view, 1])}
    assert drawn == {0, 1}
    a, b = (cached[Draw.of(1, 0, 5)]['inputs']['depth'][0] for _ in range(2))
    assert torch.equal(a, b)


def test_a_part_of_the_training_list_is_held_out_to_choose_on(cache, weights, tmp_path):
    options = {**options_of(True, weights), 'feature_cache': str(cache), 'hold_out': 3}
    runner = train_config(CONCAT, work_dir=tmp_path / 'run', options=options)
    trained, held = runner.train_dataloader.dataset, runner.val_dataloader.dataset
    assert (len(trained), len(held)) == (5, 3)
    names = [[d.get_data_info(i)['img_path'] for i in range(len(d))] for d in (trained, held)]
    assert names[0] + names[1] == [trained.dataset.get_data_info(i)['img_path'] for i in range(8)]
    assert held.view == 0
    saved = load_config(tmp_path / 'run' / CONCAT.name)  # never the training list as the split
    assert saved.val_dataloader.dataset.part == (-3, None)
    one = held[0]['data_samples']
    assert one.ori_shape == one.img_shape == one.gt_sem_seg.shape == (72, 96)
    assert 'flip' not in one
    assert runner.val_evaluator.metrics[0].per_sample[1].shape == (3, 2, 10)
    assert held[0]['data_samples'].img_path == names[1][0]
    # What reads the training list without augmentation does so here, too.
    plain = plain_training_loader(runner.cfg)['dataset']
    assert recipe_of(innermost(plain)) == recipe_of(
        with_pipeline(
            load_config(CONCAT).train_dataloader.dataset,
            load_config(CONCAT).val_dataloader.dataset.pipeline,
        )
    )
    alone = MissingModalityHook(modalities=runner.cfg.modalities)._loader(runner, 'val', ('rgb',))
    images = [alone.dataset.get_data_info(i)['img_path'] for i in range(len(alone.dataset))]
    assert images == names[1]
    done = [type(t).__name__ for t in alone.dataset.dataset.pipeline.transforms]
    assert 'DropModality' in done
    assert not {'RandomCrop', 'RandomFlip', 'PhotoMetricDistortion'} & set(done)
    with pytest.raises(ValueError, match='part and view must be of the 8 samples and 2 views'):
        CachedFeatures(load_config(CONCAT).train_dataloader.dataset, cache, part=(8, None))
    with pytest.raises(ValueError, match='hold_out is a part of a feature_cache'):
        train_config(CONCAT, work_dir=tmp_path / 'no', options={'hold_out': 3})


@pytest.mark.slow
def test_a_trust_is_fitted_to_cached_features_and_tests_on_images(cache, weights, tmp_path):
    trust = ROOT / 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'
    hook = dict(type='mango_mm.TrustHook', hold_out=4, iterations=3, batch_size=2, samples=8)
    options = {
        **options_of(True, weights), 'custom_hooks': [hook], 'feature_cache': str(cache),
        'model.decode_head.trust.rate': 0.2,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r'--plain: the feature cache .* another data set'):
        train_config(trust, work_dir=tmp_path / 'no', options=options)
    plain = cache_features(
        CONCAT, tmp_path / 'plain', views=2, plain=True, dtype='float32',
        options=options_of(True, weights),
    )  # fmt: skip
    options['feature_cache'] = str(plain)
    runner = train_config(trust, work_dir=tmp_path / 'run', options=options)
    trained = runner.train_dataloader.dataset
    assert (len(trained), type(trained.dataset)) == (4, CachedFeatures)
    assert runner.model.trusted_ensemble.trust.calibrated
    seen = runner.val_evaluator.metrics[0].per_sample[1]
    found, images = [], {**options, 'feature_cache': '', 'custom_hooks': []}
    for feature_cache in (str(plain), ''):
        images['feature_cache'] = feature_cache
        found.append(evaluate(trust, tmp_path / 'run', work_dir=tmp_path / 't', options=images))
    assert found[0]['mIoU'] == pytest.approx(found[1]['mIoU'], abs=0.05)
    assert len(seen) == 3


def test_an_interrupted_cache_goes_on_and_is_the_same(cache, weights, tmp_path, monkeypatch):
    write, count = writing._Split._write, [0]

    def killed(self, *arguments):
        count[0] += 1
        if count[0] > 11:
            raise KeyboardInterrupt
        write(self, *arguments)

    out, options = tmp_path / 'rooms', options_of(True, weights)
    how = dict(views=2, dtype='float32', degradations=[('rgb_noise', 3)], options=options)
    monkeypatch.setattr(writing._Split, '_write', killed)
    monkeypatch.setattr(writing, 'SAVE_EVERY', 1)
    with pytest.raises(KeyboardInterrupt):
        cache_features(CONCAT, out, batch_size=2, **how)
    assert not out.exists()
    read, _ = frozen_model(weights)
    with pytest.raises(FileNotFoundError, match='only half written.*cache_features.py CONFIG'):
        CachedFeatures(read.train_dataloader.dataset, out)
    count[0] = -100
    cache_features(CONCAT, out, batch_size=2, **how)
    assert count[0] == -100 + 22 - 10  # 16 training views and twice 3; ten were there
    for path in cache.rglob('*.npy'):
        assert np.allclose(np.load(out / path.relative_to(cache)), np.load(path), atol=1e-5), path
    manifest = out / 'manifest.json'
    before = manifest.stat().st_mtime_ns
    cache_features(CONCAT, out, **how)  # complete: left alone
    assert manifest.stat().st_mtime_ns == before


def test_a_cache_of_other_weights_pipelines_or_lists_is_refused(cache, weights, tmp_path, rooms):
    other = torch.load(weights, weights_only=True)
    name = next(k for k in other['state_dict'] if k.startswith('backbone.streams.depth'))
    other['state_dict'][name] = other['state_dict'][name] + 1
    torch.save(other, tmp_path / 'other.pth')
    options = {**options_of(True, tmp_path / 'other.pth'), 'feature_cache': str(cache)}
    with pytest.raises(ValueError, match='made by an encoder of depth with SHA-256'):
        train_config(CONCAT, work_dir=tmp_path / 'run', options=options)

    read = load_config(CONCAT)
    read.train_dataloader.dataset.pipeline[-3].prob = 0.25
    with pytest.raises(ValueError, match=r"another data set or pipeline.*'train': 'pipeline"):
        CachedFeatures(read.train_dataloader.dataset, cache)

    moved = tmp_path / 'moved'
    shutil.copytree(rooms, moved)
    listed = load_config(CONCAT).train_dataloader.dataset
    path = moved / listed.ann_file
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match='of another list: it has 8 samples .* the data set 7'):
        CachedFeatures({**listed.to_dict(), 'data_root': str(moved)}, cache)


def test_trained_encoders_and_damaged_files_are_refused(cache, weights, tmp_path):
    with pytest.raises(ValueError, match='set model.backbone.frozen=True'):
        cache_features(CONCAT, tmp_path / 'none', options=options_of(False, weights))
    options = {**options_of(False, weights), 'feature_cache': str(cache)}
    with pytest.raises(ValueError, match='set model.backbone.frozen=True'):
        train_config(CONCAT, work_dir=tmp_path / 'run', options=options)

    damaged = tmp_path / 'damaged'
    shutil.copytree(cache, damaged)
    file = damaged / 'train' / 'rgb_1.npy'
    file.write_bytes(file.read_bytes()[:5000])
    read = load_config(CONCAT)
    with pytest.raises(ValueError, match='rgb_1.npy of the feature cache is damaged'):
        CachedFeatures(read.train_dataloader.dataset, damaged)
    (damaged / COMPLETE).unlink()
    with pytest.raises(FileNotFoundError, match='does not exist: python tools/prepare/cache_feat'):
        CachedFeatures(read.train_dataloader.dataset, damaged)


def test_the_tool_writes_what_a_config_asks_for(rooms, weights, tmp_path):
    tool = ROOT / 'tools/prepare/cache_features.py'
    given = [f'model.backbone.init_cfg.{k}={v}' for k, v in (
        ('type', 'Pretrained'), ('checkpoint', weights), ('prefix', 'backbone.'))]  # fmt: skip
    done = run(rooms, tool, CONCAT, '--out', tmp_path / 'c', '--degrade', 'depth_dropout:5',
               '--cfg-options', *SHORT, 'model.backbone.frozen=True', *given)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'MiB' in done.stdout
    manifest = json.loads((tmp_path / 'c' / 'manifest.json').read_text())
    assert {n: (s['samples'], s['views']) for n, s in manifest['splits'].items()} == {
        'train': (8, 1), 'val': (3, 1), 'val-depth_dropout-5': (3, 1),
    }  # fmt: skip
    wrong = run(rooms, tool, CONCAT, '--out', tmp_path / 'c', '--degrade', 'depth_dropout:9')
    assert wrong.returncode
    assert 'KIND:SEVERITY' in wrong.stderr
    assert 'Traceback' not in wrong.stderr
    nowhere = run(rooms, tool, CONCAT)
    assert 'has no feature_cache; say where by --out' in nowhere.stderr


def test_a_model_without_frozen_encoders_to_ask_is_named(tmp_path):
    pytest.importorskip('mmagic')
    other = ROOT / 'configs/autoencoder'
    config = next(iter(sorted(other.glob('*.py'))))
    with pytest.raises(TypeError, match='features are cached of a MultimodalEncoderDecoder or a'):
        cache_features(config, tmp_path / 'none')


def test_what_a_cache_cannot_stand_for_is_refused(cache, weights, tmp_path):
    umt = load_config(ROOT / 'configs/umt/umt_small_1xb8-600it_mini-rooms-72x96.py')
    umt.feature_cache = str(cache)
    with pytest.raises(
        ValueError, match="views or teachers of UMT read images.*set feature_cache=''"
    ):
        use_feature_cache(umt)
    without = load_config(CONCAT, options={'feature_cache': str(cache), 'hold_out': 3})
    without.train_dataloader = None
    with pytest.raises(ValueError, match='there is no train_dataloader'):
        use_feature_cache(without)
    with pytest.raises(ValueError, match='hold_out must be a whole number of at least 1; got -5'):
        load_config(CONCAT, options={'hold_out': -5})
    dropping = load_config(CONCAT, options=options_of(True, weights))
    dropping.train_dataloader.dataset.pipeline.insert(
        -2, dict(type='mango_mm.DropModality', keys=['img', 'depth'])
    )
    with pytest.raises(ValueError, match='DropModality in the training pipeline'):
        cache_features(dropping, tmp_path / 'none')


def test_the_hash_is_of_weights_settings_and_vocabulary_and_of_nothing_else():
    class Part(torch.nn.Module):
        def __init__(self, norm=torch.nn.BatchNorm2d, *, padding=None, words=('a',)):
            super().__init__()
            self.norm, self.padding, self.init_cfg = norm(2), padding, dict(checkpoint='x.pth')
            self.tokenizer = type('T', (), {'get_vocab': lambda _: dict.fromkeys(words, 0)})()

    first = weights_hash(Part(), readout='ignore')
    assert weights_hash(Part().eval(), readout='ignore') == first
    assert weights_hash(Part(torch.nn.SyncBatchNorm), readout='ignore') == first
    other = Part()
    other.norm.running_mean += 1
    for part, readout in (
        (Part(), 'add'), (Part(padding=dict(size_divisor=32)), 'ignore'),
        (Part(padding=[72, 96]), 'ignore'), (Part(words=('a', 'b')), 'ignore'), (other, 'ignore'),
    ):  # fmt: skip
        assert weights_hash(part, readout=readout) != first
