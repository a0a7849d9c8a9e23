"""Loading and moving aligned domains: one geometry for all, holes stay holes."""

import numpy as np
import pytest
from PIL import Image

from mango_mm.datasets import TaskonomyDataset
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.datasets.transforms import (
    LoadDomains,
    RandomCropDomains,
    RandomFlipDomains,
    ResizeDomains,
)

NAMES = ('rgb', 'normal', 'depth_euclidean')


@pytest.fixture
def rooms(tmp_path):
    return write_rooms(tmp_path / 'rooms', train=2, val=1, size=(24, 32), taskonomy=True)


@pytest.fixture
def sample(rooms):
    data = TaskonomyDataset(['rgb', 'normal'], 'depth_euclidean', data_root=str(rooms))
    return LoadDomains()(data[0])


def coordinates(height=6, width=8):
    """A sample whose pixels say where they came from, with one hole in the depth."""
    down, right = np.mgrid[:height, :width].astype(np.float32)
    place = np.stack([right, down, 0 * right], -1)
    mask = np.ones((height, width), bool)
    mask[2, 3] = False
    return {
        'domains': NAMES, 'rgb': place.copy(), 'normal': place.copy(),
        'depth_euclidean': place[..., :1].copy(),
        'masks': {'rgb': mask | True, 'normal': mask | True, 'depth_euclidean': mask},
        'img_shape': (height, width),
    }  # fmt: skip


def test_every_domain_is_loaded_with_its_mask(sample):
    assert sample['domains'] == NAMES
    for name, channels in zip(NAMES, (3, 3, 1)):
        assert sample[name].shape == (24, 32, channels)
        assert sample[name].dtype == np.float32
        assert sample['masks'][name].shape == (24, 32)
    assert sample['img_shape'] == (24, 32)


def test_all_domains_are_cropped_alike_and_every_corner_can_come():
    corners = set()
    for _ in range(300):
        cut = RandomCropDomains((5, 6))(coordinates())
        assert cut['img_shape'] == (5, 6)
        assert np.array_equal(cut['rgb'], cut['normal'])
        assert np.array_equal(cut['rgb'][..., :1], cut['depth_euclidean'])
        left, top = cut['rgb'][0, 0, :2].astype(int)
        hole = cut['rgb'][~cut['masks']['depth_euclidean']][0]
        assert hole.tolist() == [3, 2, 0]
        corners.add((top, left))
    assert corners == {(top, left) for top in (0, 1) for left in (0, 1, 2)}
    with pytest.raises(ValueError, match=r'cannot crop \(7, 8\) out of \(6, 8\)'):
        RandomCropDomains((7, 8))(coordinates())


def test_a_mirror_turns_directions_too():
    given, got = coordinates(), RandomFlipDomains(1.0)(coordinates())
    assert got['flip']
    np.testing.assert_array_equal(got['rgb'], given['rgb'][:, ::-1])
    np.testing.assert_array_equal(got['normal'][..., 0], -given['normal'][:, ::-1, 0])
    np.testing.assert_array_equal(got['normal'][..., 1:], given['normal'][:, ::-1, 1:])
    assert not got['masks']['depth_euclidean'][2, 8 - 1 - 3]
    twice = RandomFlipDomains(1.0)(got)
    np.testing.assert_array_equal(twice['normal'], given['normal'])
    assert not RandomFlipDomains(0.0)(coordinates())['flip']
    with pytest.raises(ValueError, match=r'prob must lie in \[0, 1\]; got 2'):
        RandomFlipDomains(2)


def test_resizing_invents_no_depth_and_fills_no_hole(sample):
    before = sample['depth_euclidean'].copy()
    out = ResizeDomains((36, 40))(sample)
    assert out['img_shape'] == (36, 40)
    assert set(np.unique(out['depth_euclidean'])) <= set(np.unique(before))
    assert out['rgb'].shape == (36, 40, 3)
    assert len(np.unique(out['rgb'])) > len(np.unique(before))  # colours are interpolated
    small = ResizeDomains((12, 16))(coordinates(24, 32))
    assert small['masks']['depth_euclidean'].shape == (12, 16)
    with pytest.raises(ValueError, match='size must be a height and a width'):
        ResizeDomains((3,))


def test_files_that_do_not_fit_are_named(rooms):
    data = TaskonomyDataset(['rgb', 'normal'], 'depth_euclidean', data_root=str(rooms))
    path = rooms / 'normal/point_1_view_0_domain_normal.png'
    Image.new('RGB', (5, 5)).save(path)
    with pytest.raises(ValueError, match=r'domain_normal.png is \(5, 5\), but rgb is \(24, 32\)'):
        LoadDomains()(data[0])
    path.write_bytes(b'no picture')
    with pytest.raises(ValueError, match='normal file .*domain_normal.png cannot be decoded'):
        LoadDomains()(data[0])
    path.unlink()
    with pytest.raises(FileNotFoundError, match='normal file .*does not exist'):
        LoadDomains()(data[0])
    Image.new('L', (32, 24)).save(
        rooms / 'depth_euclidean/point_2_view_0_domain_depth_euclidean.png'
    )
    with pytest.raises(ValueError, match='depth_euclidean must be stored with 16 bits'):
        LoadDomains()(data[1])
