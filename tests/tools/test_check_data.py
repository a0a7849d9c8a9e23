"""A data set with one of every fault: all are listed, none stops the scan."""

import numpy as np
import pytest
from PIL import Image
from rooms import MANGO, ROOT, make_rooms, run

from mango_mm.analysis.check_data import check_data
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.files import inside

TOOL = ROOT / 'tools/analyse/check_data.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    root = make_rooms(tmp_path / 'rooms')
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(root))
    return root


@pytest.mark.slow
def test_healthy_data_have_no_problem_and_the_example_runs(rooms):
    problems, counts = check_data(MANGO)
    assert problems == []
    assert counts == {'train': 8, 'val': 3}  # test is val
    help_text = run(rooms, TOOL, '--help').stdout
    words = help_text.split('Example:')[1].replace('\\\n', ' ').split('\n\n')[0].split()
    done = run(rooms, *words[1:], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert '0 problems; samples read: 8 of train, 3 of val' in done.stdout


def test_every_fault_is_listed_and_the_scan_goes_on(rooms):
    lines = (rooms / 'train.txt').read_text().splitlines()
    files = [line.split('\t') for line in lines]
    rgb = [rooms / f[0] for f in files]
    masks, depth = [rooms / f[1] for f in files], [rooms / f[2] for f in files]
    rgb[0].write_bytes(rgb[0].read_bytes()[:200])  # truncated
    rgb[1].write_text('no image')
    Image.fromarray(np.zeros((5, 7), np.uint16)).save(depth[2])  # another size
    Image.fromarray(np.zeros((72, 96), np.uint16)).save(depth[3])  # nothing measured
    Image.fromarray(np.full((72, 96), 77, np.uint8)).save(masks[4])  # no such class
    Image.fromarray(np.full((72, 96), 255, np.uint8)).save(masks[5])  # nothing labelled
    Image.fromarray(np.zeros((72, 96, 3), np.uint8)).save(masks[6])  # colours
    (rooms / 'train.txt').write_text('\n'.join([*lines, lines[7]]))  # listed twice
    val = (rooms / 'val.txt').read_text().splitlines()
    (rooms / 'val.txt').write_text('\n'.join([*val, lines[7]]))  # trained on
    problems, counts = check_data(MANGO)
    assert counts == {'train': 9, 'val': 4}
    said = [str(p) for p in problems]
    for path, message in (
        (rgb[0], 'cannot be decoded'), (rgb[1], 'cannot be decoded'), (rgb[2], 'size'),
        (rgb[3], 'no measured pixel'), (rgb[4], '77'), (rgb[5], 'no pixel is labelled'),
        (rgb[6], 'one channel'), (rgb[7], 'is listed more than once'),
    ):  # fmt: skip
        found = [line for line in said if str(path) in line.split(': ')[1]]
        assert any(message in line for line in found), (path, message, found)
    assert any(line.startswith('val: ') and 'in the training split too' in line for line in said)
    assert any('labels [77] are stored, and there are 10 classes' in line for line in said)
    assert len(problems) == 10
    done = run(rooms, TOOL, MANGO)
    assert done.returncode == 1
    assert '10 problems; samples read: 9 of train, 4 of val' in done.stdout
    assert 'Traceback' not in done.stderr


def test_a_split_that_cannot_be_listed_is_a_problem_not_a_crash(rooms):
    (rooms / 'val.txt').write_text('../secret.jpg\tmasks/1.png\tdepth/1.png\n')
    problems, counts = check_data(MANGO)
    assert [p.split for p in problems] == ['val']
    assert 'val.txt, line 1: paths must stay inside' in problems[0].message
    assert counts == {'train': 8}
    with pytest.raises(ValueError, match=r"got \['eval'\]"):
        check_data(MANGO, ['eval'])


def test_movies(tmp_path, monkeypatch):
    write_movies(tmp_path, train=6, dev=3, test=3)
    monkeypatch.setenv('MANGO_MINI_MOVIES', str(tmp_path))
    problems, counts = check_data(MOVIES)
    assert problems == []
    assert counts == {'train': 6, 'val': 3, 'test': 3}
    poster = sorted((tmp_path / 'dataset').glob('*.jp*g'))[0]
    poster.write_bytes(b'no poster')
    problems, _ = check_data(MOVIES)
    assert any(poster.stem in str(p) for p in problems)


@pytest.mark.parametrize('path', ['/etc/passwd', '../x', 'a/../../x', '..', 'a\0b'])
def test_paths_that_leave_the_root_are_refused(path):
    with pytest.raises(ValueError, match=r'list, line 3: paths must stay inside root'):
        inside('root', path, 'list, line 3')


@pytest.mark.parametrize('path', ['rgb/1.jpg', 'a/../b.png', './x', 'ünï code.png', '...x'])
def test_paths_inside_are_kept(path):
    assert inside('root', path, 'list') == f'root/{path}'
