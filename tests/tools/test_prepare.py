"""The preparation tools, on small files in the official formats."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mango_mm.datasets import NYUDepthV2Dataset, SUNRGBDDataset, TaskonomyDataset
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.datasets.transforms import LoadDepth, LoadImage, LoadSegmentation

ROOT = Path(__file__).resolve().parents[2]


def maker(name):
    path = ROOT / 'tests' / 'data' / name / 'make.py'
    spec = importlib.util.spec_from_file_location(f'make_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool(name, *arguments):
    return subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            str(ROOT / 'tools' / 'prepare' / name),
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
    )


def read(path):
    return np.asarray(Image.open(path))


def test_nyu_from_the_official_mat_file(tmp_path):
    images, depths, labels = maker('nyu_depth_v2').make_official(tmp_path)
    out = tmp_path / 'out'
    files = (tmp_path / 'nyu_depth_v2_labeled.mat', tmp_path / 'splits.mat')
    done = tool(
        'nyu_depth_v2.py', *files, '--class-mapping', tmp_path / 'classMapping40.mat', '--out', out
    )
    assert done.returncode == 0, done.stderr
    dataset = NYUDepthV2Dataset('train.txt', data_root=str(out), pipeline=[])
    assert [Path(s['img_path']).stem for s in dataset] == ['000001', '000003']
    np.testing.assert_array_equal(read(out / 'rgb/000003.png'), images[2].transpose(2, 1, 0))
    np.testing.assert_allclose(read(out / 'depth/000003.png') / 5000, depths[2].T, atol=1e-4)
    expected = np.array([255, 22, 0, 39, 19])[labels[2].T]  # mapClass - 1, 0 = unlabelled
    np.testing.assert_array_equal(read(out / 'masks/000003.png'), expected)


def test_nyu_without_a_mapping_goes_by_name_and_ignores_the_rest(tmp_path):
    _, _, labels = maker('nyu_depth_v2').make_official(tmp_path)
    out = tmp_path / 'out'
    done = tool(
        'nyu_depth_v2.py',
        tmp_path / 'nyu_depth_v2_labeled.mat',
        tmp_path / 'splits.mat',
        '--out',
        out,
    )
    assert done.returncode == 0, done.stderr
    expected = np.array([255, 255, 0, 255, 19])[labels[1].T]
    np.testing.assert_array_equal(read(out / 'masks/000002.png'), expected)


def test_nyu_mini_holds_the_training_frames_alone_as_our_tables_have_them(tmp_path):
    # 142 frames, of which the even ones train: places 60 to 69 and 70 are the first that validate.
    train = tuple(range(2, 143, 2))
    images, depths, labels = maker('nyu_depth_v2').make_official(tmp_path, frames=142, train=train)
    out = tmp_path / 'out'
    files = (tmp_path / 'nyu_depth_v2_labeled.mat', tmp_path / 'splits.mat')
    mapping = ('--class-mapping', tmp_path / 'classMapping40.mat')
    done = tool('nyu_depth_v2.py', *files, *mapping, '--mini', '--out', out)
    assert done.returncode == 0, done.stderr
    lines = {name: (out / f'{name}.txt').read_text().splitlines() for name in ('train', 'val')}
    assert lines['train'][0] == 'rgb/000002.jpg\tmasks/000002.png\tdepth/000002.png'
    numbers = {k: [int(x.split('\t')[2][6:12]) for x in v] for k, v in lines.items()}
    assert numbers == {'train': list(train[:60]), 'val': list(train[60:])}
    assert len(list((out / 'rgb').iterdir())) == 71  # no frame of the official test
    # 8 x 6 pixels become 341 x 256, mirrored; whole areas keep their values.
    rows, columns = ((np.arange(n) + 0.5) * k / n for n, k in ((256, 6), (341, 8)))
    place = np.ix_(rows.astype(int), columns.astype(int))
    sure = np.arange(341) != 170  # the centre of this column lies between two pixels
    classes = np.array([255, 22, 0, 255, 19])[labels[1].T]  # otherprop, 39, is ignored
    expected = classes[:, ::-1][place]
    np.testing.assert_array_equal(read(out / 'masks/000002.png')[:, sure], expected[:, sure])
    depth = read(out / 'depth/000002.png')
    assert depth.dtype == np.uint16
    metres = depths[1].T[:, ::-1][place]
    half_a_step = 10 / 255 / 2
    assert np.abs(depth / 5000 - metres)[:, sure].max() <= half_a_step + 1e-4
    steps = depth / 5000 / 10 * 255
    np.testing.assert_allclose(steps, steps.round(), atol=3e-3)
    # Bilinear: the middle of an official pixel keeps its colour, but for JPEG and half a pixel.
    middle = np.ix_(*((np.arange(k) + 0.5) * n / k for n, k in ((256, 6), (341, 8))))
    middle = tuple(x.astype(int) for x in middle)
    with Image.open(out / 'rgb/000002.jpg') as rgb:
        assert (rgb.format, rgb.size) == ('JPEG', (341, 256))
        got = np.asarray(rgb)[middle].astype(int)
    assert np.abs(got - images[1].transpose(2, 1, 0)[:, ::-1]).max() <= 12


def test_sun_from_the_official_archive(tmp_path):
    labels, depths_mm = maker('sun_rgbd').make_official(tmp_path)
    out = tmp_path / 'out'
    done = tool('sun_rgbd.py', tmp_path, '--out', out)
    assert done.returncode == 0, done.stderr
    pipeline = [LoadImage(), LoadDepth('sun'), LoadSegmentation(37)]
    train = SUNRGBDDataset('train.txt', data_root=str(out), pipeline=pipeline)
    test = SUNRGBDDataset('test.txt', data_root=str(out), pipeline=pipeline)
    assert (len(train), len(test)) == (1, 2)
    sample = train[0]
    np.testing.assert_allclose(sample['depth'], depths_mm[1] / 1000, atol=1e-6)
    np.testing.assert_array_equal(sample['gt_seg_map'], labels[1].astype(np.int64) - 1 & 255)


@pytest.mark.parametrize(
    ('name', 'arguments', 'message'),
    [
        ('nyu_depth_v2.py', ['no.mat', 'splits.mat'], 'no.mat does not exist'),
        ('sun_rgbd.py', ['nowhere'], 'SUNRGBDMeta.mat does not exist'),
    ],
)
def test_missing_files_are_named(name, arguments, message, tmp_path):
    done = tool(name, *arguments, '--out', tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert 'Traceback' not in done.stderr


def test_shrink_keeps_values_and_sizes(tmp_path):
    from mango_mm.datasets.mini.write_rooms import write_rooms

    source = write_rooms(tmp_path / 'rooms', train=2, val=1, size=(48, 64))
    done = tool('shrink.py', source, tmp_path / 'small', '--short-side', 24)
    assert done.returncode == 0, done.stderr
    depth = read(tmp_path / 'small/depth/000001.png')
    assert (depth.shape, depth.dtype) == ((24, 32), np.uint16)
    assert set(np.unique(depth)) <= set(np.unique(read(source / 'depth/000001.png')))


# ---- Taskonomy ----


@pytest.fixture(scope='module')
def building(tmp_path_factory):
    """Five views of three camera points, as a building unpacks."""
    root = tmp_path_factory.mktemp('taskonomy')
    rooms = write_rooms(root / 'rooms', train=5, val=1, size=(24, 32), taskonomy=True)
    views = [(3, 0), (3, 1), (8, 0), (8, 4), (9, 0)]
    for domain in ('rgb', 'normal', 'depth_euclidean'):
        (root / domain).mkdir()
        for number, (point, view) in enumerate(views, 1):
            source = rooms / domain / f'point_{number}_view_0_domain_{domain}.png'
            shutil.copy(source, root / domain / f'point_{point}_view_{view}_domain_{domain}.png')
    return root


DOMAINS = ('--domains', 'rgb', 'normal', 'depth_euclidean')


def test_taskonomy_is_checked_and_split_by_camera_point(building):
    done = tool('taskonomy.py', building, *DOMAINS, '--train', 2, '--val', 2)
    assert done.returncode == 0, done.stderr
    assert '5 views x 3 domains: all there' in done.stdout
    lists = [(building / f'{x}_domain.txt').read_text().split() for x in ('train', 'val')]
    points = [{line.split('_')[1] for line in lines} for lines in lists]
    assert [len(x) for x in lists] == [2, 2]
    assert not points[0] & points[1]
    data = TaskonomyDataset(['normal'], 'rgb', data_root=str(building), ann_file='val_domain.txt')
    assert len(data) == 2


def test_a_broken_taskonomy_is_listed_file_by_file_and_nothing_written(building, tmp_path):
    root = shutil.copytree(building, tmp_path / 'copy')
    for name in ('train_domain.txt', 'val_domain.txt'):
        (root / name).unlink(missing_ok=True)
    (root / 'normal/point_3_view_1_domain_normal.png').unlink()
    depth = root / 'depth_euclidean/point_9_view_0_domain_depth_euclidean.png'
    Image.fromarray(np.full((24, 32), 65535, np.uint16)).save(depth)
    other = root / 'depth_euclidean/point_8_view_0_domain_depth_euclidean.png'
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(other)
    (root / 'rgb/point_8_view_4_domain_rgb.png').write_bytes(b'no image')
    done = tool('taskonomy.py', root, *DOMAINS, '--train', 2, '--val', 2)
    assert done.returncode != 0
    for words in ('point_3_view_1_domain_normal.png is missing', 'has no measured pixel',
                  'must be stored with 16 bits', 'point_8_view_4_domain_rgb.png'):  # fmt: skip
        assert words in done.stdout, words
    assert '4 problems; nothing was written' in done.stderr
    assert not (root / 'train_domain.txt').exists()
    done = tool('taskonomy.py', building, '--domains', 'reshading')
    assert 'unpack the domain reshading there' in done.stderr
    done = tool('taskonomy.py', building, *DOMAINS, '--train', 4, '--val', 2)
    assert '4 + 2 views of disjoint points were asked for' in done.stderr
