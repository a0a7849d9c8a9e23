"""Generated rooms: consistent maps, published layouts, neither modality enough alone."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from mango_mm.datasets import MiniRoomsDataset
from mango_mm.datasets.mini.rooms import CLASSES, INDEX, render_room
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.datasets.transforms import LoadDepth, LoadImage, LoadSegmentation
from mango_mm.registry import DATASETS

DATA = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'


@pytest.fixture(scope='module')
def frames():
    return [render_room(seed, 48, 64) for seed in range(30)]


def test_the_same_seed_gives_the_same_frame(frames):
    np.testing.assert_array_equal(render_room(3, 48, 64).rgb, frames[3].rgb)
    assert not np.array_equal(frames[3].rgb, frames[4].rgb)


def test_every_class_occurs(frames):
    seen = set(np.concatenate([np.unique(f.label) for f in frames]))
    assert seen == set(range(len(CLASSES)))


def test_depth_along_the_axis_is_never_more_than_the_distance(frames):
    for frame in frames:
        assert (frame.true_depth_m <= frame.distance_m + 1e-5).all()
        assert (frame.true_depth_m > 0).all()
        np.testing.assert_allclose(np.linalg.norm(frame.normal, axis=-1), 1, atol=1e-5)
        assert (frame.normal[..., 2] > -0.9).mean() > 0.99  # surfaces face the camera


def test_normals_fit_the_depth(frames):
    """Pixels of one object with one normal lie in a plane of that normal."""
    frame = frames[0]
    floor = (frame.label == INDEX['floor']).nonzero()
    normals = frame.normal[floor]
    assert np.ptp(normals, axis=0).max() < 1e-5


def test_the_sensor_is_noisy_and_has_holes(frames):
    holes = np.mean([np.mean(f.depth_m == 0) for f in frames])
    assert 0.003 < holes < 0.1
    known = [f.depth_m[f.depth_m > 0] - f.true_depth_m[f.depth_m > 0] for f in frames]
    assert 0.003 < np.concatenate(known).std() < 0.1


def test_flat_things_have_no_depth_of_their_own_and_solid_ones_share_colours(frames):
    def colours(name):
        return np.concatenate([f.rgb[f.label == INDEX[name]] for f in frames]).astype(float)

    brown = [colours(n).mean(0) for n in ('bed', 'table', 'cabinet', 'box', 'wall')]
    spread = np.ptp(brown, axis=0).max()
    rug = np.abs(colours('rug').mean(0) - colours('floor').mean(0)).max()
    assert spread < 60
    assert colours('screen').mean() < 60 < colours('wall').mean()
    assert rug > 5


def test_it_is_written_in_both_layouts_and_read_back(tmp_path):
    root = write_rooms(tmp_path, train=2, val=1, size=(24, 32), taskonomy=True)
    frame = render_room(1, 24, 32)
    pipeline = [LoadImage(), LoadDepth(), LoadSegmentation(10)]
    sample = MiniRoomsDataset('train.txt', data_root=str(root), pipeline=pipeline)[0]
    np.testing.assert_allclose(sample['depth'], frame.depth_m, atol=1.1e-4)
    np.testing.assert_array_equal(sample['gt_seg_map'], frame.label)
    views = (root / 'val_domain.txt').read_text().split('\n')
    for domain in (
        'rgb',
        'normal',
        'reshading',
        'depth_euclidean',
        'edge_occlusion',
        'edge_texture',
    ):
        assert (root / views[0].format(domain=domain)).is_file()
    depth = np.asarray(
        Image.open(root / 'depth_euclidean/point_1_view_0_domain_depth_euclidean.png')
    )
    np.testing.assert_allclose(depth / 512, frame.distance_m, atol=1e-3)


def test_writing_again_does_nothing(tmp_path):
    root = write_rooms(tmp_path, train=1, val=1, size=(24, 32))
    before = (root / 'rgb/000001.jpg').stat().st_mtime_ns
    write_rooms(tmp_path, train=1, val=1, size=(24, 32))
    assert (root / 'rgb/000001.jpg').stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ('taskonomy', 'size'), [(False, (72, 96)), (True, (96, 128))], ids=['rooms', 'taskonomy']
)
def test_frames_have_the_size_of_the_configs(tmp_path, taskonomy, size):
    root = write_rooms(tmp_path, train=1, val=0, taskonomy=taskonomy)
    assert np.asarray(Image.open(root / 'masks/000001.png')).shape == size
    of = {Config.fromfile(p).crop_size for p in DATA.glob(f'*mini-rooms[-_]{size[0]}x{size[1]}.py')}
    assert of == {size}


@pytest.mark.parametrize('size', [(72, 96), (96, 128)], ids=str)
def test_frames_of_any_size_are_tested_at_that_of_the_config(tmp_path, monkeypatch, size):
    """Predictions are compared with the labels at their own size."""
    root = write_rooms(tmp_path, train=0, val=1, size=size)
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(root))
    init_default_scope('mmseg')
    config = Config.fromfile(DATA / 'mini-rooms_72x96.py')
    sample = DATASETS.build(config.val_dataloader.dataset)[0]
    assert sample['inputs'].shape == (4, 72, 96)
    assert sample['data_samples'].gt_sem_seg.shape == size
    assert sample['data_samples'].ori_shape == size
