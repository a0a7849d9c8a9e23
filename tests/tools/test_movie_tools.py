"""Movie classification by our tools: train, resume, test, infer, two processes, the demo."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from rooms import ROOT, SHORT, iterations
from rooms import run as run_on

from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.inferencers import MangoInferencer, MovieInferencer

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
OPTIONS = [*SHORT, 'train_dataloader.batch_size=8', 'val_dataloader.batch_size=3']


@pytest.fixture(scope='module')
def movies(tmp_path_factory):
    return write_movies(tmp_path_factory.mktemp('movies'), train=24, dev=7, test=7)


@pytest.fixture(scope='module')
def environ(movies):
    patch = pytest.MonkeyPatch()
    patch.setenv('MANGO_MINI_MOVIES', str(movies))
    yield
    patch.undo()


def run(*command):
    done = run_on('unused', *command)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def trained(environ, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('trained')
    run(ROOT / 'tools/train.py', CONFIG, '--work-dir', work_dir, '--cfg-options', *OPTIONS,
        *iterations(4, 2))  # fmt: skip
    return work_dir


def best_of(work_dir):
    (path,) = work_dir.glob('best_macro_f1*.pth')
    return path


def test_the_checkpoint_holds_vocabulary_and_thresholds_and_tests_alone(trained, environ):
    state = torch.load(best_of(trained), weights_only=True)['state_dict']
    assert state['encoders.text.vocabulary.words'].any()
    thresholds = state['heads.fused.thresholds']
    assert not torch.equal(thresholds, torch.full_like(thresholds, 0.5))
    printed = run(ROOT / 'tools/test.py', CONFIG, best_of(trained), '--cfg-options', *OPTIONS)
    for name in ('micro_f1', 'macro_f1', 'weighted_f1', 'samples_f1', 'macro_f1_tuned', 'mAP'):
        assert re.search(rf'\b{name}=[\d.]+', printed), name
    assert 'Thriller' in printed  # the table per genre


def test_a_resumed_run_ends_with_the_same_weights(trained, environ, tmp_path):
    for count, more in ((2, []), (4, ['--resume'])):
        run(ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path, *more, '--cfg-options',
            *OPTIONS, *iterations(count, 2))  # fmt: skip
    whole, resumed = (
        torch.load(folder / 'iter_4.pth', weights_only=True)['state_dict']
        for folder in (trained, tmp_path)
    )
    for name, wanted in whole.items():
        torch.testing.assert_close(resumed[name], wanted, rtol=0, atol=0, msg=name)


def test_two_processes_train_with_one_vocabulary_and_the_same_thresholds(environ, tmp_path):
    run('-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
        ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path, '--launcher', 'pytorch',
        '--cfg-options', *OPTIONS, *iterations(2, 2))  # fmt: skip
    state = torch.load(best_of(tmp_path), weights_only=True)['state_dict']
    assert state['encoders.text.vocabulary.words'].any()


def test_inference_gives_genres_reasons_and_a_picture(trained, environ, movies, tmp_path):
    infer = MangoInferencer(CONFIG, best_of(trained))
    assert isinstance(infer, MovieInferencer)
    poster = movies / 'dataset/0000030.jpeg'
    plot = 'A detective finds love, love and a rocket.'
    result = infer({'image': poster, 'text': plot}, show_dir=tmp_path)
    assert set(result['scores']) == {'Comedy', 'Crime', 'Drama', 'Romance', 'Sci-Fi', 'Thriller'}
    said = {g for g, s in result['scores'].items() if s >= result['thresholds'][g]}
    assert set(result['genres']) == said
    assert [w for w, _ in result['words']] == 'a detective finds love love and a rocket'.split()
    assert sum(result['shares'].values()) == pytest.approx(1)
    assert result['nll_per_dim'] is not None
    with Image.open(result['picture']) as picture:
        assert np.asarray(picture).std() > 10

    # What a word does, by hand: the likeliest genre's logit with and without it.
    def logit(text):
        scores = infer({'image': poster, 'text': text})['scores']
        return torch.tensor(scores[likeliest]).logit().item()

    likeliest = max(result['scores'], key=result['scores'].get)
    words = [w for w, _ in result['words']]
    without = logit(' '.join(words[:1] + words[2:]))
    wanted = logit(' '.join(words)) - without
    assert result['words'][1][1] == pytest.approx(wanted, abs=1e-3)

    array = np.asarray(Image.open(poster))
    again = infer([{'image': array, 'text': plot}, {'text': plot}, {'image': poster}])
    assert again[0]['scores'] == pytest.approx(result['scores'], abs=1e-5)
    assert again[1]['shares'] == {'image': 0.0, 'text': 1.0}
    assert again[2]['words'] == []
    with pytest.raises(ValueError, match='needs an image or a text; got neither'):
        infer({'image': None, 'text': ' '})
    with pytest.raises(ValueError, match='text must be a string; got int'):
        infer({'image': poster, 'text': 3})
    with pytest.raises(FileNotFoundError, match=r'none\.jpeg does not exist'):
        infer({'image': 'none.jpeg', 'text': plot})


def test_the_inference_tool_prints_json(trained, environ, movies, tmp_path):
    movie = (f'image={movies}/dataset/0000030.jpeg', 'text=A heist in space.')
    printed = run(ROOT / 'tools/infer.py', CONFIG, best_of(trained), '--show-dir', tmp_path,
                  '--input', *movie)  # fmt: skip
    answer = json.loads(printed[printed.index('{') : printed.rindex('}') + 1])
    assert 0 <= answer['scores']['Crime'] <= 1
    assert (tmp_path / '0000030.png').is_file()
    done = run_on('unused', ROOT / 'tools/infer.py', CONFIG, best_of(trained), '--input', 'poster')
    assert done.returncode != 0
    assert 'must be MODALITY=VALUE' in done.stderr


@pytest.mark.soak
def test_the_demo_trains_tests_and_draws(tmp_path):
    data = write_movies(tmp_path / 'movies', train=24, dev=7, test=7)
    recipe = data / 'complete.txt'  # few movies under the name of the demo's
    recipe.write_text('1200 200 200 0 v1')
    printed = run(ROOT / 'tools/demo_imdb.py', '--iters', '2', '--data', data, '--out',
                  tmp_path / 'out')  # fmt: skip
    for name in ('poster alone', 'plot alone', 'concat', 'MANGO'):
        assert re.search(rf'\| {name} \| 1 \| [\d.]+ \|', printed), name
    assert len(list((tmp_path / 'out/movies').glob('*.png'))) == 3


def test_a_download_is_checked_movie_by_movie(movies, tmp_path):
    genres = ('--genres', 'Comedy', 'Crime', 'Drama', 'Romance', 'Sci-Fi', 'Thriller')
    tool = ROOT / 'tools/prepare/mm_imdb.py'
    printed = run(tool, movies, *genres)
    assert 'all there, all readable' in printed
    assert 'test: 7 movies' in printed
    broken = write_movies(tmp_path / 'broken', train=3, dev=2, test=2)
    (broken / 'dataset/0000000.json').unlink()
    (broken / 'dataset/0000003.jpeg').write_bytes(b'no')
    (broken / 'dataset/0000005.jpeg').unlink()
    done = run_on('unused', tool, broken, *genres)
    assert done.returncode != 0
    for words in ('train: 1 movies listed, but not there', '0000003.jpeg cannot be decoded',
                  'test: 1 movies without a poster'):  # fmt: skip
        assert words in done.stdout, done.stdout
    assert '3 problems.' in done.stderr
    done = run_on('unused', tool, tmp_path, *genres)
    assert 'split.json does not exist' in done.stderr
