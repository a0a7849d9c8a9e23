"""The page to play with: what it answers, what it refuses, and that it keeps nothing."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('flask')
pytest.importorskip('mmseg')

from mango_mm.web import create_app  # noqa: E402
from mango_mm.web.app import MOST_BYTES  # noqa: E402
from mango_mm.web.movies import MOST_LETTERS, MovieBench  # noqa: E402
from mango_mm.web.rooms import RoomBench  # noqa: E402

TRUSTED = 'MANGO with trust'


@pytest.fixture(scope='module')
def bench():
    return RoomBench()


@pytest.fixture(scope='module')
def movies():
    return MovieBench()


@pytest.fixture
def client(bench, movies):
    return create_app({'rooms': bench, 'movies': movies}).test_client()


def png(array, mode=None):
    file = io.BytesIO()
    Image.fromarray(array, mode).save(file, format='PNG')
    return file.getvalue()


def uploads(rgb, depth, **fields):
    return {
        'rgb': (io.BytesIO(rgb), 'rgb.png'),
        'depth': (io.BytesIO(depth), 'depth.png'),
        **fields,
    }


def own_pair(bench):
    pair = bench.examples[0]
    return png(pair.rgb), png((pair.depth * 1000).astype(np.uint16))


def test_the_page_may_run_its_own_script_alone(client):
    page = client.get('/')
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers['Content-Security-Policy']
    assert b'<script src="page.js" defer></script>' in page.data
    assert b'onclick' not in page.data
    for part in ('/page.js', '/page.css', '/choices'):
        assert client.get(part).status_code == 200
    assert client.get('/../app.py').status_code == 404


def test_a_broken_sensor_is_noticed_and_named(client):
    fine = client.post('/predict', data={'example': '0'}).json['models']
    dark = client.post(
        '/predict', data={'example': '0', 'kind': 'rgb_blackout', 'severity': '5'}
    ).json['models']
    assert not fine[TRUSTED]['alarm']
    assert min(fine[TRUSTED]['trust'].values()) > 0.7
    assert dark[TRUSTED]['alarm']
    assert dark[TRUSTED]['trust']['rgb'] < 0.1 < dark[TRUSTED]['trust']['depth']
    assert dark[TRUSTED]['accuracy'] > dark['concatenation']['accuracy']
    assert dark['concatenation']['trust'] is None
    for said in (*fine.values(), *dark.values()):
        assert set(said['contributions']) == {'rgb', 'depth'}
    # Believing depth alone, it takes nothing from the fusion.
    assert abs(sum(dark[TRUSTED]['contributions'].values())) < 0.05
    assert sum(dark['concatenation']['contributions'].values()) > 1


def test_every_kind_of_failure_is_answered(bench, monkeypatch):
    monkeypatch.setattr(bench, 'attributions', {})  # the slow part
    assert len(bench.kinds) == 11  # change together with datasets/degradations.py
    scores = []
    for kind in ['', *bench.kinds]:
        said = bench.predict(bench.examples[2], kind, 5)['models'][TRUSTED]
        scores.append(said['alarm'])
    assert not scores[0]
    assert sum(scores[1:]) >= 9


def test_an_upload_is_the_same_as_the_example_it_was_made_of(client, bench):
    example = client.post('/predict', data={'example': '0'}).json
    sent = client.post('/predict', data=uploads(*own_pair(bench), per_metre='1000')).json
    for name, said in sent['models'].items():
        assert 'accuracy' not in said  # nobody knows the truth of an upload
        before = example['models'][name]
        assert said['trust'] == pytest.approx(before['trust'], abs=0.02) or not said['trust']
    assert sent['seen']['pictures']['rgb'] == example['seen']['pictures']['rgb']


def bomb():
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    head = struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(b'\0' * 999))


EPS = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n%%EOF\n'


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        (bomb(), 'the RGB picture cannot be decoded: '),
        (png(np.zeros((4000, 3001, 3), np.uint8)), 'more than 12,000,000'),
        (EPS, 'it is no picture'),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'it is no picture'),
        (b'', 'it is no picture'),
        (png(np.zeros((30, 40, 3), np.uint8))[:-40], 'cannot be decoded'),
    ],
    ids=['bomb', 'large', 'eps', 'svg', 'empty', 'truncated'],
)
def test_a_hostile_picture_is_refused(client, bench, bad, message):
    answer = client.post('/predict', data=uploads(bad, own_pair(bench)[1]))
    assert answer.status_code == 400
    assert message in answer.json['error']


def test_a_name_of_a_file_is_never_looked_at(client, bench):
    rgb, depth = own_pair(bench)
    name = '<img src=x onerror=alert(1)>/../../etc/passwd.png'
    answer = client.post(
        '/predict',
        data={'rgb': (io.BytesIO(rgb), name), 'depth': (io.BytesIO(depth), name)},
    )
    assert answer.status_code == 200
    assert b'onerror' not in answer.data


def test_too_large_an_upload_is_refused_unread(client):
    answer = client.post(
        '/predict', data=uploads(b'\0' * (MOST_BYTES + 1), b'x'), content_type='multipart/form-data'
    )
    assert answer.status_code == 413
    assert answer.json['error'] == 'at most 16 MiB'


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'example': '99'}, 'example must be 0 to 5; got 99'),
        ({'example': 'x'}, "example must be a whole number; got 'x'"),
        ({'example': '0', 'kind': 'magic'}, "got 'magic'"),
        ({'task': 'magic'}, "task must be one of ['rooms', 'movies']; got 'magic'"),
        ({'task': 'movies', 'kind': 'rgb_noise'}, "got 'rgb_noise'"),
        ({'example': '0', 'kind': 'rgb_noise', 'severity': '9'}, 'severity must be 1 to 5; got 9'),
    ],
)
def test_wrong_choices_are_named(client, fields, message):
    answer = client.post('/predict', data=fields)
    assert answer.status_code == 400
    assert message in answer.json['error']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'per_metre': '0'}, 'units per metre must be positive; got 0.0'),
        ({'per_metre': 'many'}, "per_metre must be a number; got 'many'"),
        ({'per_metre': 'nan'}, 'units per metre must be positive; got nan'),
        ({'depth': (io.BytesIO(png(np.zeros((72, 96, 3), np.uint8))), 'd.png')}, 'one channel'),
        ({'depth': (io.BytesIO(png(np.zeros((7, 9), np.uint8))), 'd.png')}, 'must be of one size'),
    ],
)
def test_wrong_uploads_are_named(client, bench, change, message):
    answer = client.post('/predict', data=uploads(*own_pair(bench)) | change)
    assert answer.status_code == 400
    assert message in answer.json['error']


def test_one_picture_of_two_is_not_enough(client, bench):
    answer = client.post('/predict', data={'rgb': (io.BytesIO(own_pair(bench)[0]), 'a.png')})
    assert "it lacks ['depth']" in answer.json['error']


def test_another_host_name_is_refused(client):
    assert client.get('/', headers={'Host': 'evil.example'}).status_code == 400


def test_an_upload_stays_in_memory(client, bench, monkeypatch, tmp_path):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    depth = png(np.full((900, 1200), 3000, np.uint16))
    assert len(png(noise)) > 500_000  # from which on werkzeug would write a file
    opened = []
    monkeypatch.setattr('tempfile.SpooledTemporaryFile', lambda *a, **k: opened.append(a))
    assert client.post('/predict', data=uploads(png(noise), depth)).status_code == 200
    assert opened == []
    assert list(tmp_path.iterdir()) == []


def ask_movies(client, **fields):
    return client.post('/predict', data={'task': 'movies', **fields})


def test_a_black_poster_is_not_believed(client):
    fine = ask_movies(client, example='0').json
    dark = ask_movies(client, example='0', kind='image_blackout', severity='5').json
    for answer in (fine, dark):
        assert set(answer['seen']['pictures']) == {'poster'}
        assert set(answer['seen']['texts']) == {'plot', 'truth'}
        for said in answer['models'].values():
            assert set(said['scores']) == set(said['thresholds'])
            assert set(said['genres']) <= set(said['scores'])
            assert [w for w, _ in said['words']] == [
                w.strip('.').lower() for w in answer['seen']['texts']['plot'].split()
            ]
            assert set(said['contributions']) == set(said['shares']) == {'image', 'text'}
    fine, dark = fine['models'], dark['models']
    assert not fine[TRUSTED]['alarm']
    assert min(fine[TRUSTED]['trust'].values()) > 0.7
    assert fine[TRUSTED]['accuracy'] == 1
    assert dark[TRUSTED]['alarm']
    assert dark[TRUSTED]['trust']['image'] < 0.3 < 0.7 < dark[TRUSTED]['trust']['text']


def test_a_movie_without_one_of_the_two_is_answered(client, movies):
    for kind, lost in (('image_missing', 'image'), ('text_missing', 'text')):
        said = ask_movies(client, example='1', kind=kind).json
        assert said['models'][TRUSTED]['trust'][lost] == 0
        assert ('poster' in said['seen']['pictures']) == (lost == 'text')
    own = ask_movies(client, plot='A detective and a rocket.').json
    assert own['seen'] == {'pictures': {}, 'texts': {'plot': 'A detective and a rocket.'}}
    assert 'accuracy' not in own['models'][TRUSTED]
    poster = {'poster': (io.BytesIO(png(movies.examples[0].poster)), 'p.png')}
    assert ask_movies(client, **poster).json['seen']['texts'] == {'plot': 'none'}


def test_a_plot_of_words_never_seen_raises_the_alarm(client, movies):
    poster = {'poster': (io.BytesIO(png(movies.examples[0].poster)), 'p.png')}
    plot = 'Stock prices fell on Tuesday as investors worried about inflation and rates'
    said = ask_movies(client, plot=plot, **poster).json['models'][TRUSTED]
    assert said['alarm']
    assert said['trust']['text'] < 0.3 < said['trust']['image']


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'plot': 'x' * (MOST_LETTERS + 1)}, 'a plot has 2,000 letters at most; got 2,001'),
        ({'plot': 'x', 'kind': 'image_blackout'}, 'there is no image that could break'),
        ({'plot': 'x', 'kind': 'text_missing'}, 'nothing would be left of this movie'),
        ({'plot': '?!'}, "a plot needs words; got '?!'"),
        ({'poster': (io.BytesIO(EPS), 'p.png')}, 'it is no picture'),
    ],
)
def test_wrong_movies_are_named(client, fields, message):
    answer = ask_movies(client, **fields)
    assert answer.status_code == 400
    assert message in answer.json['error']
