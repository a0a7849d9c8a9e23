"""Loading: units, alignment, and one clear error for every kind of bad file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import Compose
from PIL import Image

from mango_mm.datasets import MultimodalSegDataset, NYUDepthV2Dataset, SUNRGBDDataset
from mango_mm.datasets.transforms import LoadDepth, LoadImage, LoadSegmentation, StackModalities

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path):
    """Two frames in the layout of TokenFusion's lists."""
    lines = []
    for folder in ('rgb', 'masks', 'depth'):
        (tmp_path / folder).mkdir()
    for i in (1, 2):
        names = (f'rgb/{i}.png', f'masks/{i}.png', f'depth/{i}.png')
        Image.fromarray(RNG.integers(0, 255, (6, 8, 3), dtype=np.uint8)).save(tmp_path / names[0])
        Image.fromarray(RNG.integers(0, 40, (6, 8), dtype=np.uint8)).save(tmp_path / names[1])
        depth = RNG.integers(3500, 50000, (6, 8)).astype(np.uint16)
        Image.fromarray(depth).save(tmp_path / names[2])
        lines.append('\t'.join(names))
    (tmp_path / 'train.txt').write_text('\n'.join(lines))
    return tmp_path


PIPELINE = [LoadImage(), LoadDepth(), LoadSegmentation(40), StackModalities()]


def dataset(root, **options):
    options.setdefault('pipeline', PIPELINE)
    return NYUDepthV2Dataset('train.txt', data_root=str(root), **options)


def save_depth(root, array):
    Image.fromarray(array).save(root / 'depth' / '1.png')


def test_a_sample_is_rgb_then_depth_in_metres(root):
    sample = dataset(root)[0]
    rgb = np.asarray(Image.open(root / 'rgb/1.png'))
    depth = np.asarray(Image.open(root / 'depth/1.png'))
    np.testing.assert_array_equal(sample['img'][..., :3], rgb)
    np.testing.assert_allclose(sample['img'][..., 3], depth / 5000, rtol=1e-6)
    assert sample['img'].dtype == np.float32
    assert sample['seg_fields'] == ['gt_seg_map']


def test_dformers_layout_has_void_zero_and_relative_depth(tmp_path):
    for folder, suffix in (('RGB', 'jpg'), ('Label', 'png'), ('Depth', 'png'), ('HHA', 'jpg')):
        (tmp_path / folder).mkdir()
        shape = (6, 8, 3) if folder in ('RGB', 'HHA') else (6, 8)
        array = np.full(shape, 51, np.uint8)
        if folder == 'Label':
            array = np.arange(48, dtype=np.uint8).reshape(6, 8) % 41
        Image.fromarray(array).save(tmp_path / folder / f'7.{suffix}')
    (tmp_path / 'train.txt').write_text('RGB/7.jpg Label/7.png\r\n')
    pipeline = [LoadImage(), LoadImage('hha'), LoadDepth('relative'), LoadSegmentation(40)]
    options = dict(layout='dformer', modalities=('rgb', 'depth', 'hha'), pipeline=pipeline)
    sample = dataset(tmp_path, **options)[0]
    np.testing.assert_allclose(sample['depth'], 0.2)
    assert sample['hha'].shape == (6, 8, 3)
    assert sample['gt_seg_map'].flatten()[:3].tolist() == [255, 0, 1]
    (tmp_path / 'train.txt').write_text('7')  # CMX writes bare stems
    assert len(dataset(tmp_path, **options)) == 1


@given(millimetres=st.lists(st.integers(0, 8000), min_size=4, max_size=4))
def test_suns_bit_shift_is_undone(millimetres):
    mm = np.array(millimetres, dtype=np.uint16).reshape(2, 2)
    raw = (mm << 3) | (mm >> 13)
    depth = LoadDepth('sun')({'depth_path': raw})['depth']
    np.testing.assert_allclose(depth, mm / 1000, rtol=1e-6)


def test_what_is_no_measurement_becomes_zero():
    raw = np.array([[np.nan, np.inf], [-1.0, 12.0]])
    depth = LoadDepth(max_m=10)({'depth_path': raw})['depth']
    assert depth.tolist() == [[0, 0], [0, 0]]


def test_mmsegs_geometry_moves_all_modalities_together(root):
    grid = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(np.stack([grid] * 3, -1)).save(root / 'rgb/1.png')
    Image.fromarray(grid % 40).save(root / 'masks/1.png')
    save_depth(root, (grid.astype(np.uint16) + 1) * 1000)
    from mmseg.datasets.transforms import PhotoMetricDistortion, RandomCrop

    steps = [
        LoadImage(),
        LoadDepth(),
        LoadSegmentation(40),
        RandomCrop((4, 4)),
        dict(type='mmseg.RandomFlip', prob=0.5),
    ]
    np.random.seed(3)
    plain = Compose([*steps, StackModalities()])
    jittered = Compose([*steps, PhotoMetricDistortion(), StackModalities()])
    info = dataset(root, pipeline=[]).get_data_info(0)
    flips = set()
    for seed in range(8):
        np.random.seed(seed)
        sample = plain(dict(info, seg_fields=[]))
        rgb, depth = sample['img'][..., 0], sample['img'][..., 3]
        np.testing.assert_allclose(depth, (rgb + 1) / 5, rtol=1e-6)
        np.testing.assert_array_equal(sample['gt_seg_map'], rgb % 40)
        flips.add(bool(sample['flip']))
        np.random.seed(seed)
        distorted = jittered(dict(info, seg_fields=[]))
        np.testing.assert_array_equal(distorted['img'][..., 3], depth)
    assert flips == {True, False}


def test_images_larger_than_their_labels_are_cropped_around_the_centre(root):
    Image.fromarray(np.full((4, 6), 3, np.uint8)).save(root / 'masks/1.png')
    pipeline = [LoadImage(), LoadDepth(), LoadSegmentation(40, crop_inputs=True), StackModalities()]
    sample = dataset(root, pipeline=pipeline)[0]
    rgb = np.asarray(Image.open(root / 'rgb/1.png'))[1:5, 1:7]
    np.testing.assert_array_equal(sample['img'][..., :3], rgb)
    assert sample['ori_shape'] == (4, 6)


def test_sun_has_37_classes_and_nyu_40():
    assert len(SUNRGBDDataset.METAINFO['classes']) == 37
    assert len(NYUDepthV2Dataset.METAINFO['classes']) == 40
    assert len({tuple(c) for c in NYUDepthV2Dataset.METAINFO['palette']}) == 40


# ---- bad input: one clear error naming the culprit


def test_a_list_line_with_two_columns(root):
    (root / 'train.txt').write_text('rgb/1.png\tmasks/1.png\tdepth/1.png\nrgb/2.png\tmasks/2.png')
    with pytest.raises(ValueError, match=r'train\.txt, line 2: .*3 tab-separated .*got 2'):
        dataset(root)


def test_a_missing_depth_file(root):
    (root / 'depth/2.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'line 2: the depth file .*2\.png does not exist'):
        dataset(root)


@pytest.mark.parametrize('folder', ['rgb', 'masks', 'depth'])
def test_a_truncated_png(root, folder):
    path = root / folder / '1.png'
    path.write_bytes(path.read_bytes()[:70])
    with pytest.raises(ValueError, match=rf'{folder}/1\.png cannot be decoded'):
        dataset(root)[0]


def test_eight_bit_depth_where_metres_were_configured(root):
    save_depth(root, np.zeros((6, 8), np.uint8))
    with pytest.raises(ValueError, match=r"16-bit file; got uint8 from .*depth/1\.png.*'relative'"):
        dataset(root)[0]


def test_a_label_of_41(root):
    label = np.zeros((6, 8), np.uint8)
    label[2, 3] = 41
    Image.fromarray(label).save(root / 'masks/1.png')
    with pytest.raises(
        ValueError, match=r'labels must be 0\.\.39 or 255; got 41 at 1 pixels of .*1'
    ):
        dataset(root)[0]


def test_rgb_and_depth_of_different_size(root):
    save_depth(root, np.full((6, 9), 5000, np.uint16))
    with pytest.raises(
        ValueError, match=r'depth must have the size of the image, 6 x 8.*got 6 x 9'
    ):
        dataset(root)[0]


def test_a_modality_that_the_data_does_not_have(root):
    with pytest.raises(ValueError, match=r"asks for modality 'hha'.*has \['rgb', 'depth'\]"):
        dataset(root, modalities=('rgb', 'hha'))
    pipeline = [LoadImage(), LoadSegmentation(40), StackModalities()]
    with pytest.raises(KeyError, match="has no 'depth'"):
        dataset(root, pipeline=pipeline)[0]
    with pytest.raises(KeyError, match="LoadDepth needs 'depth_path'"):
        dataset(root, modalities=('rgb',))[0]


def test_a_missing_list_says_how_to_get_the_data(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'train\.txt does not exist; make it with tools'):
        dataset(tmp_path)


def test_an_empty_list(root):
    (root / 'train.txt').write_text('\n\n')
    with pytest.raises(ValueError, match=r'train\.txt lists no sample'):
        dataset(root)


@pytest.mark.parametrize(
    ('raw', 'encoding', 'message'),
    [
        (np.zeros((2, 2, 3), np.uint8), 'metric', 'one channel; got shape'),
        (np.zeros((2, 2), np.uint16), 'relative', 'needs 8-bit depth; got uint16'),
        (np.zeros((2, 2), np.uint16), 'metres', 'floating point'),
    ],
)
def test_depth_of_the_wrong_type(raw, encoding, message):
    with pytest.raises(ValueError, match=message):
        LoadDepth(encoding)({'depth_path': raw})


def test_unknown_options():
    with pytest.raises(ValueError, match="encoding of depth must be one of .*got 'cm'"):
        LoadDepth('cm')
    with pytest.raises(ValueError, match="layout must be one of .*got 'coco'"):
        MultimodalSegDataset('x', layout='coco')


@pytest.mark.real_data
def test_the_real_pack_loads_and_is_what_its_readme_says(real_data):
    pipeline = [LoadImage(), LoadDepth(), LoadSegmentation(40), StackModalities()]
    train = NYUDepthV2Dataset('train.txt', data_root=str(real_data / 'nyuv2'), pipeline=pipeline)
    val = NYUDepthV2Dataset('val.txt', data_root=str(real_data / 'nyuv2'), pipeline=pipeline)
    assert (len(train), len(val)) == (695, 100)
    sample = val[0]
    assert sample['img'].shape == (256, 341, 4)
    assert 0.7 <= sample['img'][..., 3].min() < sample['img'][..., 3].max() <= 10
