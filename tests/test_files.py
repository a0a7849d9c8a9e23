"""The doors to the disk: what must not get in, and what must be whole or not there."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from rooms import ROOT

from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.files import (
    append_line,
    component,
    inside,
    locked,
    made_whole,
    open_hdf5,
    own_files,
    read_image,
    read_json_lines,
)


@pytest.mark.parametrize(
    'path', ['../x.png', '/etc/passwd', 'a/../../x', '..', 'a\0b', 'a/b/../../../c']
)
def test_a_listed_name_stays_inside_its_root(path, tmp_path):
    with pytest.raises(ValueError, match='list.txt, line 3: paths must stay inside'):
        inside(tmp_path, path, 'list.txt, line 3')
    assert inside(tmp_path, 'a/../b.png', '') == f'{tmp_path}/a/../b.png'


@pytest.mark.parametrize('name', ['', '.', '..', '../../x', 'a/b', '/etc', 'a\\b', 'x\0', '~root'])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(ValueError, match='the name of a run must be the name of one folder'):
        component(name, 'the name of a run')
    assert component("MANGO (paper's block), 2", '') == "MANGO (paper's block), 2"


def test_a_link_out_of_a_folder_is_no_file_of_it(tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'secret.py').write_text('password = 1')
    (tmp_path / 'in' / 'own.py').write_text('x = 1')
    (tmp_path / 'in' / 'alias.py').symlink_to('own.py')
    assert len(own_files(tmp_path / 'in', '*.py')) == 2
    (tmp_path / 'in' / 'config.py').symlink_to('../secret.py')
    with pytest.raises(ValueError, match=r'config.py is a link to .*secret.py, outside of'):
        own_files(tmp_path / 'in', '*.py')


def test_postscript_under_another_name_starts_no_program(tmp_path, monkeypatch):
    path = tmp_path / 'curve.png'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n')
    monkeypatch.setattr(subprocess, 'Popen', lambda *a, **k: pytest.fail('a program was started'))
    with pytest.raises(ValueError, match=r'the picture file .*curve.png cannot be decoded'):
        read_image(path, 'picture')


# ---- HDF5 ----


def table(file, key='features', shape=(4, 3)):
    file[key] = np.zeros(shape, np.float32)


def outside(tmp_path):
    path = tmp_path / 'secret.h5'
    with h5py.File(path, 'w') as file:
        table(file)
    return path


def external_link(file, tmp_path):
    file['features'] = h5py.ExternalLink(str(outside(tmp_path)), '/features')


def soft_link_to_it(file, tmp_path):
    file['hidden'] = h5py.ExternalLink(str(outside(tmp_path)), '/')
    file['features'] = h5py.SoftLink('/hidden/features')


def external_storage(file, tmp_path):
    (tmp_path / 'raw').write_bytes(bytes(48))
    file.create_dataset('features', (4, 3), 'f4', external=[(str(tmp_path / 'raw'), 0, 48)])


def virtual(file, tmp_path):
    layout = h5py.VirtualLayout((4, 3), 'f4')
    layout[:] = h5py.VirtualSource(str(outside(tmp_path)), 'features', (4, 3))
    file.create_virtual_dataset('features', layout)


def huge_row(file, tmp_path):
    file.create_dataset('features', (2, 2**37), 'f4', chunks=(1, 2**10))


def huge_table(file, tmp_path):
    file.create_dataset('features', (2**34, 8), 'f4', chunks=(2**10, 8))


def a_group(file, tmp_path):
    file.create_group('features')


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (external_link, 'in the file itself; got a ExternalLink'),
        (soft_link_to_it, 'in the file itself; got a SoftLink'),
        (external_storage, 'got external storage'),
        (virtual, 'got a virtual data set'),
        (huge_row, r'\(2, 137438953472\) float32, which asks for more than 1024 MiB'),
        (huge_table, 'asks for more than 1024 MiB'),
        (a_group, 'must be a table; got a Group'),
    ],
)
def test_an_hdf5_file_reads_no_other_and_claims_no_memory(make, message, tmp_path):
    path = tmp_path / 'movies.h5'
    with h5py.File(path, 'w') as file:
        make(file, tmp_path)
    with (
        pytest.raises(ValueError, match=rf"movies.h5: 'features' .*{message}"),
        open_hdf5(path, 'features'),
    ):
        pass


def test_an_ordinary_hdf5_file_is_read_and_a_broken_one_named(tmp_path):
    path = tmp_path / 'movies.h5'
    with h5py.File(path, 'w') as file:
        table(file)
    with open_hdf5(path, 'features', 'not there') as file:
        assert file['features'].shape == (4, 3)
    path.write_bytes(b'no hdf5')
    with pytest.raises(ValueError, match='movies.h5 cannot be read as HDF5'), open_hdf5(path):
        pass
    with pytest.raises(FileNotFoundError), open_hdf5(tmp_path / 'none.h5'):
        pass


# ---- lines ----


def test_a_cut_line_is_left_out_and_named_and_the_next_is_whole(tmp_path):
    path = tmp_path / 'results.jsonl'
    append_line(path, '{"a": 1}')
    with open(path, 'a') as file:
        file.write('{"a": 2, "b')  # killed here
    append_line(path, '{"a": 3}')
    found, said = read_json_lines(path)
    assert found == [{'a': 1}, {'a': 3}]
    assert said == [f'{path}, line 2: left out, because it is no JSON object.']


def hold(path):
    with locked(path, 'it'):
        time.sleep(60)


def is_held(path):
    with contextlib.suppress(ValueError), locked(path, ''):
        return False
    return True


def test_a_lock_is_free_when_its_owner_is_killed(tmp_path):
    path = tmp_path / 'a' / '.lock'
    owner = multiprocessing.get_context('spawn').Process(target=hold, args=(path,))
    owner.start()
    for _ in range(600):
        time.sleep(0.05)
        if is_held(path):
            break
    with (
        pytest.raises(ValueError, match='the folder x is in use by another process'),
        locked(path, 'the folder x'),
    ):
        pass
    owner.kill()
    owner.join()
    with locked(path, 'the folder x'):
        pass


# ---- folders ----


def files(root):
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()
    }


class Cut(Exception):
    pass


def cut_after(monkeypatch, count):
    """The power goes after so many pictures."""
    save, seen = Image.Image.save, []

    def saving(self, *args, **options):
        seen.append(1)
        if len(seen) > count:
            raise Cut
        return save(self, *args, **options)

    monkeypatch.setattr(Image.Image, 'save', saving)


@pytest.mark.parametrize(
    ('write', 'options'),
    [(write_rooms, dict(size=(16, 20), val=1)), (write_movies, dict(dev=1, test=1))],
)
def test_data_of_two_sizes_are_never_mixed(write, options, tmp_path, monkeypatch):
    root = tmp_path / 'data'
    write(root, train=3, **options)
    first = files(root)
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(Cut):
            write(root, train=5, **{**options, 'seed': 7})
    assert files(root) == first  # as it was
    write(root, train=3, **options)
    assert files(root) == first
    write(root, train=5, **{**options, 'seed': 7})
    write(tmp_path / 'other', train=5, **{**options, 'seed': 7})
    assert files(root) == files(tmp_path / 'other')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['data', 'other']


def test_what_an_interrupted_run_left_is_gone_on_with_by_the_same_recipe_alone(tmp_path):
    root = tmp_path / 'out'

    def begin(recipe, *names):
        with made_whole(root, recipe) as folder:
            for name in names:
                (folder / name).write_text(recipe)
            before = sorted(p.name for p in folder.iterdir())
            if 'stop' in names:
                raise Cut
        return before

    with pytest.raises(Cut):
        begin('one', 'a', 'stop')
    assert not root.exists()
    assert begin('one', 'b') == ['a', 'b', 'recipe.txt', 'stop']
    with pytest.raises(Cut):
        begin('two', 'c', 'stop')
    assert sorted(p.name for p in root.iterdir()) == ['a', 'b', 'complete.txt', 'stop']
    assert begin('three', 'd') == ['d', 'recipe.txt']
    assert sorted(p.name for p in root.iterdir()) == ['complete.txt', 'd']


def test_a_folder_of_somebody_elses_is_not_replaced(tmp_path):
    (tmp_path / 'holiday').mkdir()
    (tmp_path / 'holiday' / 'photo.jpg').write_text('dear')
    with pytest.raises(ValueError, match='holiday is there and not complete.txt in it'):
        write_rooms(tmp_path / 'holiday', train=1, val=1, size=(16, 20))
    assert (tmp_path / 'holiday' / 'photo.jpg').read_text() == 'dear'
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='must be a folder to be written; it is a file'):
        write_movies(tmp_path / 'file', train=1, dev=1, test=1)


# ---- tools that follow lists ----


def tool(*command):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('listed', ['../outside.png', '{outside}'])
def test_tools_that_follow_a_list_read_and_write_inside_alone(listed, tmp_path):
    outside_picture = tmp_path / 'outside.png'
    Image.new('RGB', (200, 200)).save(outside_picture)
    before = outside_picture.read_bytes()
    root = tmp_path / 'data'
    write_rooms(root, train=1, val=1, size=(16, 20))
    path = listed.format(outside=outside_picture)
    (root / 'train.txt').write_text('\t'.join([path, *['masks/000001.png', 'depth/000001.png']]))
    for name, options in (('shrink.py', ['--short-side', '16']), ('taskonomy_from_rgbd.py', [])):
        done = tool(ROOT / 'tools/prepare' / name, root, tmp_path / 'out', *options)
        assert done.returncode == 2, done.stderr
        assert 'train.txt, line 1: paths must stay inside' in done.stderr
        assert len(done.stderr.strip().splitlines()[-1]) < 500
        assert 'Traceback' not in done.stderr
        assert not (tmp_path / 'out').exists()
    assert outside_picture.read_bytes() == before


@pytest.mark.soak
@pytest.mark.slow
def test_shrink_never_writes_over_its_source(tmp_path):
    root = write_rooms(tmp_path / 'data', train=1, val=1, size=(16, 20))
    for target in (root, tmp_path):
        done = tool(ROOT / 'tools/prepare/shrink.py', root, target)
        assert done.returncode == 2
        assert 'would replace its source' in done.stderr
    done = tool(ROOT / 'tools/prepare/shrink.py', root, tmp_path / 'small', '--short-side', '8')
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / 'small' / 'masks' / '000001.png') as image:
        assert image.size == (10, 8)
    again = tool(ROOT / 'tools/prepare/shrink.py', root, tmp_path / 'small', '--short-side', '8')
    assert 'is there already' in again.stdout
    assert Path(tmp_path / 'small' / 'train.txt').read_text() == (root / 'train.txt').read_text()
