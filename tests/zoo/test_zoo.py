"""The model zoo: names, files, and that what is shipped scores what is said of it."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

import mango_mm
from mango_mm import zoo
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.files import read_lines
from mango_mm.inferencers import MangoInferencer
from mango_mm.zoo import FOLDER, find_config, find_model, is_model_name, list_models

NAMES = list_models()


def test_every_file_is_listed_and_every_name_has_its_file_and_config():
    assert len(NAMES) == 6  # change together with tools/prepare/zoo.py
    assert {p.stem for p in FOLDER.glob('*.safetensors')} == set(NAMES)
    for name in NAMES:
        model = find_model(name)
        assert model.checkpoint.stat().st_size <= 4 << 20
        assert find_config(name).is_file()
        assert is_model_name(name)
    assert mango_mm.list_models is list_models


def test_names_are_chosen_by_pattern_and_task():
    assert set(list_models('mango*')) == {n for n in NAMES if n.startswith('mango')}
    assert list_models(task='sequences') == ['mango-sequences']
    assert list_models('nothing*') == []


def test_a_name_that_is_none_says_which_there_are(tmp_path, monkeypatch):
    with pytest.raises(KeyError, match='there is no model .mango-trust-room. in the zoo'):
        MangoInferencer('mango-trust-room')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mango-rooms').mkdir()  # a folder of that name is what was meant
    assert not is_model_name('mango-rooms')
    assert not is_model_name(tmp_path / 'config.py')


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / 'concat-rooms.safetensors').write_bytes(b'x')
    monkeypatch.setattr(zoo, 'FOLDER', tmp_path)
    with pytest.raises(ValueError, match='has SHA-256 2d711642b726b044; the zoo lists'):
        _ = find_model('concat-rooms').checkpoint
    (tmp_path / 'concat-rooms.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match='reinstall mango_mm'):
        _ = find_model('concat-rooms').checkpoint


def test_the_metafiles_of_the_zoo_say_what_the_index_says():
    listed = json.loads((FOLDER / 'zoo.json').read_text())
    for entry in listed.values():
        assert set(entry) == {'task', 'config', 'data', 'metric', 'score', 'sha256', 'summary'}
        assert entry['score'] > 0


def recipes():
    """``RECIPES`` of the tool, which is no module."""
    import importlib.util

    path = FOLDER.parents[1] / 'tools/prepare/zoo.py'
    spec = importlib.util.spec_from_file_location('zoo_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RECIPES


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """What the models of a task are scored on, made once."""
    made = {}

    def get(name):
        recipe = recipes()[name]
        if recipe.task not in made:
            made[recipe.task] = tmp_path_factory.mktemp('zoo') / recipe.task
            recipe.write(made[recipe.task])
        return made[recipe.task]

    return get


@pytest.mark.slow
def test_rooms_that_anyone_writes_are_new_to_the_models_of_the_zoo(data, tmp_path):
    """They are scored by users on what tools/prepare/mini_rooms.py writes."""
    trained = data('mango-trust-rooms')
    own = write_rooms(tmp_path / 'rooms')
    seen = {p.read_bytes() for p in (trained / 'rgb').glob('*.jpg')}
    written = [p.read_bytes() for p in (own / 'rgb').glob('*.jpg')]
    assert len(seen) == 360
    assert len(written) == 300
    assert seen.isdisjoint(written)


@pytest.mark.slow
@pytest.mark.parametrize('name', list_models(task='segmentation'))
def test_segmentation_scores_what_the_zoo_says(name, data):
    root, infer = data(name), MangoInferencer(name)
    rows = [[root / p for p in line.split('\t')] for _, line in read_lines(root / 'val.txt')]
    said = infer([{'rgb': r[0], 'depth': r[2]} for r in rows], progress=False)
    count = np.zeros((10, 10), int)
    for (_, mask, _), result in zip(rows, said):
        truth = np.asarray(Image.open(mask))
        known = truth != 255
        count += np.bincount(
            truth[known] * 10 + result['label'][known].astype(int), minlength=100
        ).reshape(10, 10)
    hits = np.diag(count)
    iou = hits / (count.sum(0) + count.sum(1) - hits)
    assert 100 * iou.mean() == pytest.approx(find_model(name).score, abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize('name', list_models(task='movies'))
def test_movies_score_what_the_zoo_says(name, data):
    root, infer = data(name), MangoInferencer(name)
    infer._words = lambda item, likeliest: []  # a prediction for every word of every plot
    movies = [root / 'dataset' / m for m in json.loads((root / 'split.json').read_text())['test']]
    described = [json.loads(m.with_suffix('.json').read_text()) for m in movies]
    samples = [
        {'image': m.with_suffix('.jpeg'), 'text': d['plot'][0]} for m, d in zip(movies, described)
    ]
    said = infer(samples, progress=False, batch_size=50)
    truth = np.array([[g in d['genres'] for g in infer.classes] for d in described])
    found = np.array([[g in s['genres'] for g in infer.classes] for s in said])
    score = 100 * f1_score(truth, found, average='macro')
    assert score == pytest.approx(find_model(name).score, abs=6e-4)


@pytest.mark.slow
def test_sequences_score_what_the_zoo_says(data):
    root, infer = data('mango-sequences'), MangoInferencer('mango-sequences')
    held = np.load(root / 'test.npz', allow_pickle=False)
    samples = [
        {m: held[m][i, : held[f'{m}_length'][i]] for m in infer.modalities}
        for i in range(len(held['label']))
    ]
    said = infer(samples, progress=False, batch_size=1)
    wrong = np.abs([float(s['value'][0]) for s in said] - held['label'].reshape(-1))
    assert wrong.mean() == pytest.approx(find_model('mango-sequences').score, abs=6e-4)
