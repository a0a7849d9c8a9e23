"""Measured modalities through the hosts' own transforms: with all the rest, or an error."""

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import init_default_scope
from PIL import Image

from mango_mm.datasets.transforms.trace import accept

SIZE = (40, 56)


def frame(seed=0, path=None):
    """RGB, labels 0..9 in patches, and depth that is 1 + a tenth of the label everywhere."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, (SIZE[0] // 4, SIZE[1] // 4), dtype=np.uint8)
    label = np.kron(label, np.ones((4, 4), np.uint8))
    depth = (1 + label.astype(np.float32) / 10).astype(np.float32)
    rgb = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    sample = dict(img_path=rgb, depth_path=depth, seg_map_path=label, seg_fields=[],
                  reduce_zero_label=False)  # fmt: skip
    if path is not None:  # arrays have no names; a mosaic's frames need some
        path.mkdir()
        Image.fromarray(rgb).save(path / 'rgb.png')
        np.save(path / 'depth.npy', depth)
        Image.fromarray(label).save(path / 'label.png')
        sample |= dict(img_path=str(path / 'rgb.png'), depth_path=str(path / 'depth.npy'),
                       seg_map_path=str(path / 'label.png'))  # fmt: skip
    return sample


LOAD = [
    dict(type='mango_mm.LoadImage'),
    dict(type='mango_mm.LoadDepth', encoding='metres'),
    dict(type='mango_mm.LoadSegmentation', num_classes=10),
]
STACK = dict(type='mango_mm.StackModalities', keys=['img', 'depth'])


def run(*transforms, load=LOAD, stack=STACK, sample=None):
    import mango_mm  # noqa: F401  # registers

    init_default_scope('mmseg')
    np.random.seed(0)
    return Compose([*load, *transforms, stack])(frame() if sample is None else sample)


MOVING = {
    'Resize': dict(type='Resize', scale=(70, 50), keep_ratio=True),
    'RandomResize': dict(type='RandomResize', scale=(70, 50), ratio_range=(0.5, 2.0)),
    'ResizeToMultiple': dict(type='ResizeToMultiple', size_divisor=16),
    'ResizeShortestEdge': dict(type='ResizeShortestEdge', scale=30, max_size=90),
    'RandomCrop': dict(type='RandomCrop', crop_size=(24, 32)),
    'RandomFlip': dict(type='RandomFlip', prob=1.0),
    'RandomFlip, vertical': dict(type='RandomFlip', prob=1.0, direction='vertical'),
    'RandomRotate': dict(type='RandomRotate', prob=1.0, degree=(20, 20)),
    'RandomRotate, filled with 0': dict(
        type='RandomRotate', prob=1.0, degree=(20, 20), seg_pad_val=0
    ),
    'RandomCutOut': dict(type='RandomCutOut', prob=1.0, n_holes=3, cutout_shape=(9, 9),
                         seg_fill_in=255),
    'RandomCutOut of the image': dict(type='RandomCutOut', prob=1.0, n_holes=3,
                                      cutout_shape=(9, 9)),
    'Albu, photometric': dict(type='Albu', transforms=[dict(type='ChannelShuffle', p=1)]),
    'PhotoMetricDistortion': dict(type='PhotoMetricDistortion'),
}  # fmt: skip


@pytest.mark.parametrize('name', MOVING)
def test_transforms_of_the_host_move_depth_with_the_labels_and_fill_with_missing(name):
    if 'Albu' in name:
        pytest.importorskip('albumentations')
    results = run(MOVING[name])
    depth, label = results['img'][..., 3], results['gt_seg_map']
    assert depth.shape == label.shape
    measured = depth != 0
    filled = name in ('RandomRotate', 'RandomRotate, filled with 0', 'RandomCutOut')
    assert measured.all() != filled
    assert depth.max() < 2  # no wall 255 metres away
    if filled and 'with 0' not in name:
        np.testing.assert_array_equal(measured, label != 255)
    np.testing.assert_allclose(depth[measured], 1 + label[measured] / 10, rtol=1e-6)
    assert [k for k in results if 'trace' in k or k == 'measured'] == []
    assert results['seg_fields'] == ['gt_seg_map']


def test_several_in_a_row_and_no_labels():
    results = run(*(MOVING[n] for n in ('RandomResize', 'RandomRotate', 'RandomFlip')))
    depth, label = results['img'][..., 3], results['gt_seg_map']
    np.testing.assert_allclose(depth[depth != 0], 1 + label[depth != 0] / 10, rtol=1e-6)
    results = run(MOVING['RandomRotate'], load=LOAD[:2])
    assert results['img'][..., 3].max() < 2


def test_a_mosaic_keeps_every_frames_own_depth(tmp_path):
    import mango_mm  # noqa: F401

    init_default_scope('mmseg')

    class Frames(BaseDataset):
        def load_data_list(self):
            return [frame(i, tmp_path / str(i)) for i in range(5)]

    from mmseg.registry import DATASETS

    DATASETS.register_module(name='FramesOfATest', module=Frames, force=True)
    np.random.seed(0)
    mixed = DATASETS.build(dict(
        type='mmseg.MultiImageMixDataset',
        dataset=dict(type='FramesOfATest', pipeline=LOAD),
        pipeline=[dict(type='RandomMosaic', prob=1.0, img_scale=SIZE), MOVING['RandomFlip'], STACK],
    ))  # fmt: skip
    results = mixed[0]
    depth, label = results['img'][..., 3], results['gt_seg_map']
    assert depth.shape == (2 * SIZE[0], 2 * SIZE[1])
    np.testing.assert_array_equal(depth != 0, label != 255)
    np.testing.assert_allclose(depth[depth != 0], 1 + label[depth != 0] / 10, rtol=1e-6)
    assert (depth == 0).any()  # it fills


class Smooth:
    """A user's transform that treats depth as an image."""

    def __call__(self, results):
        import cv2

        results['depth'] = cv2.blur(results['depth'], (5, 5))
        return results


class Shift(Smooth):
    def __call__(self, results):
        results['depth'] = np.roll(results['depth'], 4, 1)
        return results


class Noise(Smooth):
    def __call__(self, results):
        results['depth'] += 0.01  # in place
        return results


class StatedNoise(Noise):
    def __call__(self, results):
        results = super().__call__(results)
        accept(results, 'depth')
        return results


class Holes(Smooth):
    def __call__(self, results):
        results['depth'][3:9, 5:20] = 0.0
        return results


class OtherNames(Smooth):
    def __call__(self, results):
        results['gt_seg_map'] = np.array([3, 3, 1, 0, 2, 5, 5, 7, 8, 9], np.uint8)[
            results['gt_seg_map']
        ]
        return results


FLIP = [dict(type='HorizontalFlip', p=1.0)]
ROT_FLIP = dict(type='RandomRotFlip', rotate_prob=1.0, flip_prob=0.0, degree=(15, 16))


@pytest.mark.parametrize(
    ('transforms', 'message'),
    [
        ([dict(type='Albu', transforms=FLIP)], 'moved differently.*mmseg.Albu.*RandomFlip'),
        ([dict(type='mmcv.RandomFlip', prob=1.0)], 'moved differently.*mmcv.RandomFlip'),
        ([dict(type='Pad', size_divisor=32)], 'Pad comes after StackModalities'),
        ([dict(type='mmcv.Resize', scale=(70, 50))], 'moved one of them alone'),
        # It interpolates even the labels.
        ([ROT_FLIP], "'depth' has values that were not measured there"),
        ([Smooth()], "'depth' has values that were not measured there"),
        ([Shift()], "'depth' has values that were not measured there"),
        ([Noise()], r"'depth' has values.*accept\(results, key\)"),
        ([MOVING['RandomFlip'], Noise()], "'depth' has values that were not measured there"),
    ],
    ids=[
        'Albu',
        'mmcv flip',
        'Pad',
        'mmcv Resize',
        'RandomRotFlip',
        'blur',
        'shift',
        'noise',
        'noise later',
    ],
)
def test_what_would_leave_depth_behind_or_invent_some_is_an_error(transforms, message):
    if 'Albu' in message:
        pytest.importorskip('albumentations')
    with pytest.raises(ValueError, match=message):
        run(*transforms)


def test_without_labels_a_moved_size_is_still_an_error():
    with pytest.raises(ValueError, match='put it after StackModalities'):
        run(dict(type='Pad', size_divisor=32), load=LOAD[:2])
    with pytest.raises(ValueError, match='Between loading and stacking'):
        run(dict(type='mmcv.Resize', scale=(70, 50)), load=LOAD[:2])


@pytest.mark.parametrize('transform', [StatedNoise(), Holes(), OtherNames()])
def test_what_a_user_may_do_on_purpose(transform):
    results = run(transform, MOVING['RandomFlip'])
    assert results['img'][..., 3].max() < 2.1


def test_an_image_like_modality_left_behind_is_an_error():
    sample = frame() | dict(hha_path=np.zeros((*SIZE, 3), np.uint8))
    load = [LOAD[0], dict(type='mango_mm.LoadImage', key='hha'), LOAD[2]]
    stack = dict(type='mango_mm.StackModalities', keys=['img', 'hha'])
    with pytest.raises(ValueError, match="'hha' was loaded as an image.*Stack it before"):
        run(MOVING['RandomFlip'], load=load, stack=stack, sample=dict(sample))
    results = run(stack, MOVING['RandomFlip'], load=load,
                  stack=dict(type='PackSegInputs'), sample=dict(sample))  # fmt: skip
    assert results['inputs'].shape == (6, *SIZE)
    both = run(stack, MOVING['RandomRotate'], load=[*load, LOAD[1]], sample=dict(sample))
    assert both['img'].shape == (*SIZE, 7)
    assert both['img'][..., 6].max() < 2


def test_depth_without_an_image_is_stacked_as_it_is():
    stack = dict(type='mango_mm.StackModalities', keys=['depth'])
    results = run(load=[LOAD[1], LOAD[2]], stack=stack)
    np.testing.assert_array_equal(results['img'][..., 0], frame()['depth_path'])
