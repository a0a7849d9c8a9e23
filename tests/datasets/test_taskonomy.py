"""TaskonomyDataset on generated rooms in both published layouts."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mango_mm.datasets import TaskonomyDataset
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.domains import get_domain

ROOT = Path(__file__).resolve().parents[2]
PAIR = {'sources': ['reshading', 'edge_texture'], 'target': 'rgb'}


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return write_rooms(
        tmp_path_factory.mktemp('rooms'), train=4, val=2, size=(24, 32), taskonomy=True
    )


@pytest.fixture
def buildings(rooms, tmp_path):
    """The same frames as two official buildings."""
    for path in rooms.glob('*/point_*'):
        domain = path.parent.name
        number = int(path.name.split('_')[1])
        folder = tmp_path / ('first' if number < 4 else 'second') / get_domain(domain).folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    (tmp_path / 'train.txt').write_text('first\r\nsecond 5 0\n\n')
    return tmp_path


def test_lists(rooms):
    data = TaskonomyDataset(**PAIR, data_root=str(rooms))
    assert len(data) == 4
    sample = data[1]
    assert sample['sources'] == ('reshading', 'edge_texture')
    assert sample['target'] == 'rgb'
    assert sample['view'] == 'point_2_view_0'
    assert Path(sample['edge_texture_path']) == (
        rooms / 'edge_texture/point_2_view_0_domain_edge_texture.png'
    )
    assert len(TaskonomyDataset(**PAIR, ann_file='val_domain.txt', data_root=str(rooms))) == 2


def test_every_written_domain_decodes(rooms):
    for domain in ('rgb', 'normal', 'reshading', 'depth_euclidean', 'edge_occlusion'):
        path = rooms / f'{domain}/point_1_view_0_domain_{domain}.png'
        decoded, measured = get_domain(domain).decode(np.asarray(Image.open(path)), str(path))
        assert decoded.shape[:2] == measured.shape == (24, 32)
        assert decoded.std() > 0.01


def test_buildings(buildings):
    data = TaskonomyDataset(
        **PAIR, ann_file='train.txt', layout='buildings', data_root=str(buildings)
    )
    assert [data[i]['view'] for i in range(len(data))] == [
        'point_1_view_0', 'point_2_view_0', 'point_3_view_0', 'point_5_view_0',
    ]  # fmt: skip
    assert Path(data[0]['reshading_path']).parent.name == 'reshade'
    assert all(Path(data[3][f'{d}_path']).is_file() for d in ('rgb', 'reshading'))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'sources': ['shade']}, KeyError, "the domains are .*got 'shade'"),
        ({'target': 'reshading'}, ValueError, "target 'reshading' is one of the sources"),
        ({'sources': []}, ValueError, 'distinct domains, at least one'),
        ({'sources': ['normal', 'normal']}, ValueError, 'distinct domains'),
        ({'layout': 'flat'}, ValueError, "layout must be one of .*got 'flat'"),
        ({'ann_file': 'no.txt'}, FileNotFoundError, 'no.txt does not exist; tools/prepare'),
    ],
)
def test_wrong_options_are_named(rooms, options, error, message):
    with pytest.raises(error, match=message):
        TaskonomyDataset(**{**PAIR, 'data_root': str(rooms), **options})


@pytest.mark.parametrize(
    ('layout', 'text', 'error', 'message'),
    [
        ('lists', 'rgb/point_1.png', ValueError, r'txt, line 1 must be a path with \{domain\}'),
        ('lists', '../{domain}/x.png', ValueError, 'paths must stay inside'),
        ('lists', '/etc/{domain}.png', ValueError, 'paths must stay inside'),
        ('lists', '\n\n', ValueError, 'list.txt is empty'),
        ('lists', '{domain}/point_9_{domain}.png', FileNotFoundError, 'line 1 needs reshading in'),
        ('buildings', 'a b c', ValueError, "'building point view'; got 'a b c'"),
        ('buildings', '../x', ValueError, 'paths must stay inside'),
        ('buildings', 'nowhere', FileNotFoundError, 'line 1 needs the folder .*nowhere/rgb'),
    ],
)  # fmt: skip
def test_wrong_lists_are_named(rooms, tmp_path, layout, text, error, message):
    (tmp_path / 'list.txt').write_text(text)
    with pytest.raises(error, match=message):
        TaskonomyDataset(
            **PAIR, ann_file=str(tmp_path / 'list.txt'), layout=layout, data_root=str(rooms)
        )


def prepare(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / 'tools/prepare/taskonomy_from_rgbd.py', *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_domains_are_made_from_rgbd_frames_and_only_once(rooms, tmp_path):
    done = prepare(rooms, tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    data = TaskonomyDataset(
        ['rgb', 'edge_occlusion'], 'depth_zbuffer', data_root=str(tmp_path / 'out')
    )
    assert len(data) == 4
    stored = np.asarray(Image.open(data[0]['depth_zbuffer_path']))
    given = np.asarray(Image.open(rooms / 'depth/000001.png')) / 5000
    seen = given > 0
    np.testing.assert_allclose(stored[seen] / 512, given[seen], atol=0.5 / 512 + 1e-9)
    assert (stored[~seen] == 65535).all()
    first = Path(data[0]['rgb_path'])
    before = first.stat().st_mtime_ns
    second = Path(data[1]['edge_occlusion_path'])
    second.unlink()
    # As if interrupted: what is there already is kept, the rest made.
    begun = tmp_path / '.out.unfinished'
    (tmp_path / 'out').rename(begun)
    (begun / 'complete.txt').rename(begun / 'recipe.txt')
    assert prepare(rooms, tmp_path / 'out').returncode == 0
    assert first.stat().st_mtime_ns == before
    assert second.is_file()
    assert not begun.exists()
    other = prepare(rooms, tmp_path / 'out', '--scale', '1000')  # others, not a mixture
    assert other.returncode == 0, other.stderr
    assert first.stat().st_mtime_ns != before
    assert 'is there already' in prepare(rooms, tmp_path / 'out', '--scale', '1000').stdout


def test_an_rgbd_set_of_the_wrong_kind_is_named(rooms, tmp_path):
    done = prepare(tmp_path, tmp_path / 'out')
    assert done.returncode != 0
    assert 'train.txt does not exist' in done.stderr
    shutil.copytree(rooms, tmp_path / 'rooms')
    listed = 'rgb/000001.jpg\tmasks/000001.png\tmasks/000001.png'
    (tmp_path / 'rooms' / 'train.txt').write_text(listed)
    done = prepare(tmp_path / 'rooms', tmp_path / 'out', '--lists', 'train.txt')
    assert 'must be a 16-bit grey image' in done.stderr
