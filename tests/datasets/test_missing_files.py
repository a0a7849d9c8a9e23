"""Files that do not exist: an error, or a sample that lacks a modality, as the config says."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.analysis.check_data import check_data
from mango_mm.apis import load_config, open_model
from mango_mm.inferencers import MangoInferencer
from mango_mm.registry import DATASETS


def paths(folder, name, split='train'):
    column = {'rgb': 0, 'depth': 2}[name]
    lines = (folder / f'{split}.txt').read_text().splitlines()
    return [folder / line.split('\t')[column] for line in lines]


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """Rooms of which the first lacks its depth, and the second its RGB, in both splits."""
    folder = make_rooms(tmp_path / 'rooms')
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(folder))
    for split in ('train', 'val'):
        paths(folder, 'depth', split)[0].unlink()
        paths(folder, 'rgb', split)[1].unlink()
    return folder


def config_of(missing='absent', **options):
    known = {'True': True, 'False': False}
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(2, 2)])
    given = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.dataset.missing'] = missing
    return load_config(MANGO, options={**given, **options})


def test_samples_say_what_they_lack_and_it_is_missing_to_the_preprocessor(rooms):
    init_default_scope('mmseg')
    config = config_of()
    dataset = DATASETS.build(config.val_dataloader.dataset)
    first, second, third = (dataset[i] for i in range(3))
    assert first['data_samples'].present == dict(rgb=True, depth=False)
    assert second['data_samples'].present == dict(rgb=False, depth=True)
    assert third['data_samples'].present == dict(rgb=True, depth=True)
    assert first['inputs'].shape == second['inputs'].shape == third['inputs'].shape
    assert first['inputs'][3].isnan().all()
    assert second['inputs'][:3].isnan().all()
    _, model = open_model(config)
    batch = model.data_preprocessor(pseudo_collate([first, second]), False)
    assert not batch['inputs'][0, 3].any()
    assert not batch['inputs'][1, :3].any()
    train = DATASETS.build(config.train_dataloader.dataset)  # crops, flips and resizes them too
    assert [train[i]['inputs'].shape for i in range(2)] == [(4, 72, 96)] * 2


def test_it_is_an_error_unless_the_config_takes_it(rooms):
    init_default_scope('mmseg')
    with pytest.raises(FileNotFoundError, match=r'line 1: the depth file .* does not exist'):
        DATASETS.build(config_of('error').val_dataloader.dataset)
    with pytest.raises(ValueError, match=r"missing must be one of \('error', 'absent'\); got 'no'"):
        DATASETS.build(config_of('no').val_dataloader.dataset)
    paths(rooms, 'rgb', 'val')[0].unlink()
    with pytest.raises(ValueError, match=r'val.txt, line 1: the sample has no file of any of'):
        DATASETS.build(config_of().val_dataloader.dataset)


def test_a_label_map_must_exist_all_the_same(rooms):
    init_default_scope('mmseg')
    line = (rooms / 'val.txt').read_text().splitlines()[0]
    (rooms / line.split('\t')[1]).unlink()
    with pytest.raises(FileNotFoundError, match='seg_map file'):
        DATASETS.build(config_of().val_dataloader.dataset)


def test_it_trains_validates_and_is_counted(rooms, tmp_path):
    config = config_of()
    config.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(config)
    runner.train()
    assert all(p.isfinite().all() for p in runner.model.parameters())
    said = []
    problems, _ = check_data(config, say=said.append)
    assert [p for p in problems if 'does not exist' in p.message] == []
    counted = [line for line in said if 'lack' in line]
    assert [line.split(':')[1].strip() for line in counted if line.startswith('train')] == [
        '1 of 8 samples lack depth', '1 of 8 samples lack rgb',
    ]  # fmt: skip


def test_inference_without_a_modality_is_that_of_a_sample_that_lacks_it(rooms):
    config = config_of()
    infer = MangoInferencer(config)
    rgb, depth = paths(rooms, 'rgb', 'val'), paths(rooms, 'depth', 'val')
    got = infer([{'rgb': rgb[0], 'depth': None}, {'rgb': None, 'depth': depth[1]}], progress=False)
    dataset = DATASETS.build(config.val_dataloader.dataset)
    with torch.no_grad():
        wanted = [infer.model.test_step(pseudo_collate([dataset[i]]))[0] for i in range(2)]
    for a, b in zip(got, wanted):
        np.testing.assert_array_equal(a['label'], b.pred_sem_seg.data[0].numpy())
        assert a['nll_per_dim'] == pytest.approx(float(b.nll_per_dim))
    whole = infer({'rgb': rgb[2], 'depth': depth[2]})
    without = infer({'rgb': rgb[2], 'depth': None})
    assert whole['nll_per_dim'] != without['nll_per_dim']
    with pytest.raises(ValueError, match='must have one of'):
        infer({'rgb': None, 'depth': None})
