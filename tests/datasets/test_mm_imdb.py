"""MM-IMDB in both layouts, on files as published, and what happens when they are broken."""

import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mango_mm.datasets import MMIMDbDataset
from mango_mm.datasets.mini.movies import MINI_GENRES, make_movie
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mm_imdb import GENRES, Hdf5Rows

path = Path(__file__).parents[1] / 'data' / 'mm_imdb' / 'make.py'
spec = importlib.util.spec_from_file_location('make_mm_imdb', path)
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

PIPELINE = [dict(type='mango_mm.LoadPoster'), dict(type='mango_mm.PackMovie')]


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
    return make.make_raw(tmp_path_factory.mktemp('mm') / 'raw')


@pytest.fixture(scope='module')
def hdf5(tmp_path_factory):
    return make.make_hdf5(tmp_path_factory.mktemp('mm') / 'hdf5')


def load(root, split='train', pipeline=PIPELINE, **options):
    init_default_scope('mango_mm')
    return MMIMDbDataset(
        split, data_root=str(root), genres=options.pop('genres', make.GENRES),
        pipeline=pipeline, **options,
    )  # fmt: skip


@pytest.mark.parametrize('split', ['train', 'dev', 'test'])
def test_both_layouts_hold_the_same_movies(raw, hdf5, split):
    a, b = load(raw, split), load(hdf5, split, layout='hdf5')
    assert len(a) == len(b) == make.SPLITS[split]
    for i in range(len(a)):
        first, second = a[i], b[i]
        assert first['data_samples'].sample_id == second['data_samples'].sample_id
        torch.testing.assert_close(first['data_samples'].gt_label, second['data_samples'].gt_label)
        difference = first['inputs']['image'].int() - second['inputs']['image'].int()
        assert difference.abs().max() <= 1  # the stored mean is rounded
        assert first['inputs']['image'].shape == (3, 256, 160)


def test_the_longest_plot_is_read_and_labels_follow_the_classes(raw):
    sample = load(raw)[0]
    assert sample['inputs']['text'].startswith('The longest plot, of movie 0000000')
    genres = json.loads((raw / 'dataset/0000000.json').read_text())['genres']
    wanted = [float(g in genres) for g in make.GENRES]
    assert sample['data_samples'].gt_label.tolist() == wanted
    assert sample['data_samples'].present == {'image': True, 'text': True}
    default = MMIMDbDataset('dev', data_root=str(raw))
    assert default.metainfo['classes'] == GENRES
    assert len(GENRES) == 23
    # As the release spells them: a class of another name would have no movie, without a word.
    assert ' '.join(sorted(GENRES)) == (
        'Action Adventure Animation Biography Comedy Crime Documentary Drama Family Fantasy '
        'Film-Noir History Horror Music Musical Mystery Romance Sci-Fi Short Sport Thriller War '
        'Western'
    )


def test_hdf5_features_and_default_genres(hdf5):
    steps = [dict(type='mango_mm.LoadMovieFeatures'), dict(type='mango_mm.PackMovie')]
    data = load(hdf5, layout='hdf5', genres=None, pipeline=steps)
    assert data.metainfo['classes'] == tuple(reversed(make.GENRES))
    sample = data[1]
    assert sample['inputs']['text'].shape == (300,)
    assert sample['inputs']['image'].shape == (4096,)


@pytest.mark.parametrize('layout', ['raw', 'hdf5'])
def test_workers_deliver_what_the_main_process_does(raw, hdf5, layout):
    data = load(raw if layout == 'raw' else hdf5, layout=layout)
    data[0]  # opens the file here, before the fork
    collate = lambda items: [x['inputs']['image'] for x in items]  # noqa: E731
    parallel = DataLoader(data, batch_size=2, num_workers=2, collate_fn=collate)
    images = [image for batch in parallel for image in batch]
    for i, image in enumerate(images):
        torch.testing.assert_close(image, data[i]['inputs']['image'])


def test_an_hdf5_handle_is_not_carried_to_another_process(hdf5):
    rows = Hdf5Rows()
    rows.read(str(hdf5 / 'multimodal_imdb.hdf5'), 'genres', 0)
    assert rows._open
    assert rows.__getstate__()['_open'] == {}
    assert pickle.loads(pickle.dumps(rows))._open == {}


# ---- bad input ----


@pytest.fixture
def broken(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / 'broken')


def test_a_movie_that_is_listed_but_not_there(broken, capsys):
    (broken / 'dataset/0000001.json').unlink()
    with pytest.raises(FileNotFoundError, match=r"lists 0000001 under 'train'.*0000001\.json does"):
        load(broken)
    assert len(load(broken, missing='drop')) == 4


def test_a_missing_poster_is_an_error_or_a_movie_without_an_image(broken):
    (broken / 'dataset/0000002.jpeg').unlink()
    with pytest.raises(FileNotFoundError, match=r'poster .*0000002\.jpeg does not exist'):
        load(broken)
    sample = load(broken, missing='drop')[2]
    assert sample['data_samples'].present == {'image': False, 'text': True}
    assert not sample['inputs']['image'].any()


def test_an_empty_plot_is_kept_and_said(broken):
    for number, plot in ((0, []), (1, ['  ']), (2, '')):
        path = broken / f'dataset/000000{number}.json'
        path.write_text(json.dumps({'plot': plot, 'genres': ['Drama']}))
    data = load(broken)
    assert [data[i]['data_samples'].present['text'] for i in range(4)] == [False] * 3 + [True]
    assert data[0]['inputs']['text'] == ''
    assert data.counts['without a plot'] == 3


def test_an_unknown_genre_is_dropped_and_counted_or_an_error(raw):
    assert load(raw).counts['genres that are no class'] == 5  # News
    with pytest.raises(ValueError, match=r"0000000\.json: the classes are .*got \['News'\]"):
        load(raw, unknown_genres='error')


@pytest.mark.parametrize(
    ('name', 'content', 'error', 'message'),
    [
        ('split.json', '{"train": ["0000000", "0000000"]}', ValueError, 'more than once'),
        ('split.json', '{"train": ["../../etc/passwd"]}', ValueError, 'ids must be words'),
        ('split.json', '{"train": [7]}', ValueError, 'ids must be words'),
        ('split.json', '{"dev": []}', ValueError, "list of ids under 'train'"),
        ('split.json', '[1, 2', ValueError, r'split\.json must be JSON; Expecting'),
        ('split.json', '[1, 2]', ValueError, "list of ids under 'train'; got list"),
        ('split.json', '{"train": []}', ValueError, "no movie for the split 'train'"),
        ('dataset/0000000.json', '{"genres": []}', ValueError, "must hold plot, .*; got 'None'"),
        ('dataset/0000000.json', '{"plot": [], "genres": "Drama"}', ValueError, "got 'Drama'"),
        ('dataset/0000000.json', 'x', ValueError, r'0000000\.json must be JSON'),
        ('dataset/0000000.json', '{"plot": 3, "genres": []}', ValueError, 'plot, a list'),
    ],
)
def test_broken_files_are_named(broken, name, content, error, message):
    (broken / name).write_text(content)
    with pytest.raises(error, match=message):
        load(broken)


def test_a_corrupted_poster_is_named_when_it_is_read(broken):
    path = broken / 'dataset/0000003.jpeg'
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r'poster file .*0000003\.jpeg cannot be decoded'):
        load(broken)[3]


def test_wrong_options_and_files_are_named(raw, hdf5, tmp_path):
    with pytest.raises(ValueError, match="split must be one of .*got 'valid'"):
        load(raw, 'valid')
    with pytest.raises(ValueError, match='layout must be one of'):
        load(raw, layout='lmdb')
    with pytest.raises(FileNotFoundError, match=r'split\.json does not exist; tools/prepare'):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"\['Western'\] are not among them"):
        load(hdf5, layout='hdf5', genres=['Western'])
    short = make.make_hdf5(tmp_path / 'short', with_split=False)
    with pytest.raises(ValueError, match='no attribute "split" and 10 rows'):
        load(short, layout='hdf5')


# ---- generated movies ----


def test_generated_movies_follow_their_rules_and_need_both(tmp_path):
    root = write_movies(tmp_path, train=6, dev=2, test=2)
    data = load(root, genres=MINI_GENRES)
    movie = make_movie(0)
    assert data[0]['inputs']['text'] == movie.plot
    assert data[0]['data_samples'].gt_label.tolist() == [
        float(g in movie.genres) for g in MINI_GENRES
    ]
    assert (make_movie(3).poster == make_movie(3).poster).all()
    movies = [make_movie(i) for i in range(800)]
    love = np.array([any(w in f.plot.lower() for w in ('love', 'wedding', 'kiss', 'heart', 'bride',
                                                        'romance')) for f in movies])  # fmt: skip
    dark = np.array([f.poster.mean() < 85 for f in movies])
    drama = np.array(['Drama' in f.genres for f in movies])
    assert ((love != dark) == drama).mean() > 0.97
    for alone in (love, dark):
        assert abs((alone == drama).mean() - 0.5) < 0.06
