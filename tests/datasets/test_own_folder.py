"""A stranger's folder: any modalities, paired by name, from a look at it to a trained model."""

import re

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from rooms import ROOT, SHORT, iterations, run

from mango_mm.analysis.folder_config import write_config
from mango_mm.analysis.look_at_folder import look_at_folder
from mango_mm.apis import load_config
from mango_mm.datasets import MultimodalFolderDataset
from mango_mm.datasets.transforms import LoadArray, LoadImage, LoadSegmentation, StackModalities
from mango_mm.inferencers import MangoInferencer
from mango_mm.registry import DATASETS

NAMES = [f'{place}_{i}' for place in ('park', 'road') for i in range(6)]
SIZE = (40, 48)


@pytest.fixture
def folder(tmp_path):
    """RGB as JPEG, thermal as 16-bit PNG with a tag, five bands as .npy, labels of odd values."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'mine'
    for name in ('images', 'thermal', 'bands', 'masks'):
        (root / name).mkdir(parents=True)
    for name in NAMES:
        label = np.where(np.arange(SIZE[1]) < rng.integers(8, 40), 7, 30)
        label = np.broadcast_to(label, SIZE).astype(np.uint8).copy()
        label[:4] = 255
        hot = (label == 30) * 2000 + 300
        Image.fromarray(rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(
            root / 'images' / f'{name}.jpg'
        )
        Image.fromarray(hot.astype(np.uint16)).save(root / 'thermal' / f'{name}_t.png')
        np.save(root / 'bands' / f'{name}.npy', rng.normal(2, 3, (*SIZE, 5)).astype(np.float32))
        Image.fromarray(label).save(root / 'masks' / f'{name}.png')
    return root


def test_a_look_finds_modalities_labels_and_what_is_odd(folder):
    (folder / 'bands' / 'park_0.npy').unlink()
    (folder / 'masks' / 'road_5.png').unlink()
    found = look_at_folder(folder)
    assert {m.name: (m.folder, m.suffix, m.channels, m.dtype) for m in found.modalities} == {
        'rgb': ('images', '.jpg', 3, 'uint8'),
        'bands': ('bands', '.npy', 5, 'float32'),
        'thermal': ('thermal', '_t.png', 1, 'uint16'),
    }
    assert found.modalities[0].name == 'rgb'
    assert found.labels == ('masks', '.png')
    assert sorted(found.label_counts) == [7, 30, 255]
    assert len(found.names) == 11
    assert any('1 of 11 samples lack bands' in x for x in found.oddities)
    assert any('1 samples have no label map' in x for x in found.oddities)
    thermal = found.modalities[2]
    assert (thermal.low, thermal.high) == (300, 2300)
    stored = np.load(folder / 'bands' / 'park_1.npy')
    assert found.modalities[1].mean[0] == pytest.approx(stored[..., 0].mean(), abs=0.5)


def test_statistics_are_of_what_was_measured_in_every_channel(folder):
    """The config that is written takes a 0 for a measurement that is missing."""
    rng = np.random.default_rng(0)
    for path in sorted((folder / 'bands').glob('*.npy')):
        values = rng.normal([100, 0, 5, -3, 8], [10, 1, 2, 1, 3], (*SIZE, 5))
        values[rng.random(values.shape) < 0.9] = 0.0
        np.save(path, values.astype(np.float32))
    bands = look_at_folder(folder).modalities[1]
    np.testing.assert_allclose(bands.mean, [100, 0, 5, -3, 8], atol=1.0)
    np.testing.assert_allclose(bands.std, [10, 1, 2, 1, 3], rtol=0.1)


def test_from_a_folder_to_a_model_in_three_commands(folder, tmp_path):
    for name in NAMES[::10]:  # some files of one modality are missing
        (folder / 'bands' / f'{name}.npy').unlink()
    config = tmp_path / 'mine.py'
    said = run('', 'tools/prepare/from_folder.py', folder, '--out', config, cwd=ROOT, check=True)
    assert 'thermal: thermal/*_t.png, 12 files of 40 x 48, 1 channels of uint16' in said.stdout
    read = load_config(config)
    assert read.train_dataloader.dataset.missing == 'absent'
    train, val = (set((tmp_path / f'mine_{s}.txt').read_text().split()) for s in ('train', 'val'))
    assert train | val == set(NAMES)
    assert not train & val
    work = tmp_path / 'work'
    short = ['--cfg-options', *SHORT, *iterations(2, 2)]
    run('', 'tools/train.py', config, '--work-dir', work, *short, cwd=ROOT, check=True)
    infer = MangoInferencer(config, work)
    name = sorted(val)[0]
    result = infer({
        'rgb': folder / 'images' / f'{name}.jpg', 'thermal': folder / 'thermal' / f'{name}_t.png',
        'bands': None,
    })  # fmt: skip
    assert result['label'].shape == SIZE
    assert list(result['classes']) == ['class_7', 'class_30']
    assert set(result['pictures']) >= {'rgb', 'thermal', 'bands', 'prediction'}


@pytest.mark.slow
def test_the_third_command_writes_a_page_although_files_are_missing(folder, tmp_path):
    for name in NAMES[::5]:
        (folder / 'bands' / f'{name}.npy').unlink()
    config, work = tmp_path / 'mine.py', tmp_path / 'work'
    said = run('', 'tools/prepare/from_folder.py', folder, '--out', config, cwd=ROOT, check=True)
    assert 'LOOK: 3 of 12 samples lack bands: missing=absent is set.' in said.stdout
    short = ['--cfg-options', *SHORT, *iterations(2, 2)]
    run('', 'tools/train.py', config, '--work-dir', work, *short, cwd=ROOT, check=True)
    run('', 'tools/analyse/report.py', work, '--analyse', '--severities', '5', cwd=ROOT, check=True)
    page = (work / 'report.html').read_text()
    for part in ('Likelihood', 'Robustness', 'Attribution', 'bands_frozen', 'thermal_shift'):
        assert part in page, part


def test_samples_hold_what_the_files_hold(folder, tmp_path):
    init_default_scope('mmseg')
    write_config(look_at_folder(folder), tmp_path / 'mine.py')
    config = load_config(tmp_path / 'mine.py')
    dataset = DATASETS.build(config.val_dataloader.dataset)
    info = dataset.get_data_info(0)
    name = info['sample_id']
    sample = dataset[0]
    rgb = np.asarray(Image.open(folder / 'images' / f'{name}.jpg')).transpose(2, 0, 1)
    bands = np.load(folder / 'bands' / f'{name}.npy').transpose(2, 0, 1)
    thermal = np.asarray(Image.open(folder / 'thermal' / f'{name}_t.png'))[None]
    order = [m.name for m in config.modalities]
    parts = {'rgb': rgb, 'bands': bands, 'thermal': thermal}
    wanted = np.concatenate([parts[m].astype(np.float32) for m in order])
    np.testing.assert_allclose(sample['inputs'].numpy(), wanted)
    stored = np.asarray(Image.open(folder / 'masks' / f'{name}.png'))
    label = sample['data_samples'].gt_sem_seg.data[0].numpy()
    assert (label[stored == 7] == 0).all()
    assert (label[stored == 30] == 1).all()
    assert (label[stored == 255] == 255).all()
    assert dataset.metainfo['classes'] == ('class_7', 'class_30')


def load(source, **options):
    return LoadArray('x', **options)({'x_path': source})['x']


def test_arrays_of_all_kinds(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    np.save(tmp_path / 'a.npy', values)
    np.savez(tmp_path / 'a.npz', one=values, two=-values)
    Image.fromarray(values[..., 0]).save(tmp_path / 'a.tiff')  # 32-bit floating point
    Image.fromarray((values[..., 1] * 900).astype(np.uint16)).save(tmp_path / 'b.png')
    np.testing.assert_array_equal(load(str(tmp_path / 'a.npy')), values)
    np.testing.assert_array_equal(load(str(tmp_path / 'a.npz'), name='two'), -values)
    np.testing.assert_array_equal(load(str(tmp_path / 'a.tiff')), values[..., 0])
    got = load(str(tmp_path / 'b.png'), scale=900)
    np.testing.assert_allclose(got, values[..., 1])
    np.testing.assert_array_equal(load(values, channels=[2]), values[..., 2])
    np.testing.assert_array_equal(load(values, channels=[2, 0]), values[..., [2, 0]])
    np.testing.assert_array_equal(load(values.transpose(2, 0, 1), first=True), values)
    holes = values.copy()
    holes[0, 0, 0], holes[1, 1, 1] = np.nan, np.inf
    assert load(holes, missing=-1.0)[0, 0, 0] == load(holes, missing=-1.0)[1, 1, 1] == -1


@pytest.mark.parametrize(
    ('make', 'options', 'message'),
    [
        (lambda p: None, {}, r'x\.npy does not exist'),
        (lambda p: p.write_bytes(b'junk'), {}, r'x\.npy cannot be read'),
        (lambda p: np.save(p, np.array(['a'])), {}, 'must hold numbers'),
        (lambda p: np.save(p, np.zeros((2, 3, 4, 5))), {}, r'must hold numbers.*\(2, 3, 4, 5\)'),
        (lambda p: np.save(p, np.zeros((2, 3, 4))), dict(channels=[4]), r'must be in 0\.\.3'),
    ],
)
def test_what_is_no_array_is_named(tmp_path, make, options, message):
    path = tmp_path / 'x.npy'
    make(path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(str(path), **options)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(modalities=[dict(name='rgb', folder='no', suffix='.jpg')]),
            'folder .*no .* not exist',
        ),
        (dict(modalities=[dict(name='rgb', folder='images', suffix='.png')]), "ends in '.png'"),
        (dict(label_map=[[7, 2]]), r'must lead to the classes 0\.\.1; got \[2\]'),
        (dict(ann_file='none.txt'), 'the list .*none.txt does not exist'),
    ],
)
def test_a_folder_that_does_not_fit_is_named(folder, change, message):
    given = dict(
        data_root=str(folder), modalities=[dict(name='rgb', folder='images', suffix='.jpg')],
        labels=dict(folder='masks', suffix='.png'), metainfo=dict(classes=['a', 'b']),
    )  # fmt: skip
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        MultimodalFolderDataset(**{**given, **change})


def test_bands_move_with_the_labels_and_are_not_turned_round(folder):
    name = NAMES[0]
    results = dict(
        img_path=str(folder / 'images' / f'{name}.jpg'), seg_fields=[],
        bands_path=str(folder / 'bands' / f'{name}.npy'),
        seg_map_path=str(folder / 'masks' / f'{name}.png'), label_map={7: 0, 30: 1},
    )  # fmt: skip
    from mmcv.transforms import RandomFlip

    steps = [
        LoadImage(), LoadArray('bands'), LoadSegmentation(2), RandomFlip(prob=0.0),
        StackModalities(['img', 'bands']),
    ]  # fmt: skip
    for step in steps:
        results = step(results)
    stored = np.load(folder / 'bands' / f'{name}.npy')
    np.testing.assert_array_equal(results['img'][..., 3:], stored)
    assert re.fullmatch(r'\(40, 48, 8\)', str(results['img'].shape))
    assert torch.from_numpy(results['img']).isfinite().all()
