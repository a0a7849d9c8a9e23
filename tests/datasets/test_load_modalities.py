"""Modalities as data: one spec says how each is loaded, moved, filled, normalised."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm import apis
from mango_mm.apis import load_config
from mango_mm.datasets.transforms import LoadArray, LoadModalities, LoadSegmentation
from mango_mm.models.segmentors import MultimodalSegDataPreProcessor
from mango_mm.registry import DATASETS
from mango_mm.visualization.domains import modality_images

SIZE = (20, 24)
RNG = np.random.default_rng(0)


@pytest.fixture
def sample(tmp_path):
    """RGB, depth in millimetres, thermal at half the size, two SAR files, a channel of a PNG."""
    rgb = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / 'rgb.png')
    Image.fromarray(RNG.integers(1, 9000, SIZE).astype(np.uint16)).save(tmp_path / 'depth.png')
    Image.fromarray(RNG.integers(0, 255, (10, 12), dtype=np.uint8)).save(tmp_path / 'thermal.png')
    for name in ('vv', 'vh'):
        np.save(tmp_path / f'{name}.npy', RNG.normal(size=SIZE).astype(np.float32))
    Image.fromarray(RNG.integers(0, 256, (*SIZE, 4), dtype=np.uint8)).save(tmp_path / 'nir.png')
    Image.fromarray(RNG.integers(0, 5, SIZE).astype(np.uint8)).save(tmp_path / 'label.png')
    paths = {k: str(tmp_path / f'{k}.png') for k in ('depth', 'thermal', 'nir')}
    return dict(
        img_path=str(tmp_path / 'rgb.png'), seg_map_path=str(tmp_path / 'label.png'),
        sar_path=[str(tmp_path / f'{n}.npy') for n in ('vv', 'vh')], seg_fields=[],
        **{f'{k}_path': v for k, v in paths.items()},
    )  # fmt: skip


SPECS = [
    dict(name='rgb', channels=3),
    dict(name='depth', channels=1, loader=dict(type='mango_mm.LoadDepth', scale=1000)),
    dict(name='thermal', channels=1, dtype='uint8'),
    dict(name='sar', channels=2, missing=-9.0),
    dict(name='nir', channels=1, loader=dict(
        type='mango_mm.LoadArray', channels=[3], scale='full')),
]  # fmt: skip


def test_every_modality_is_what_its_spec_says(sample, tmp_path):
    got = LoadModalities(SPECS, resample=True)(dict(sample))
    rgb = np.asarray(Image.open(sample['img_path']))
    np.testing.assert_array_equal(got['img'][..., ::-1], rgb)
    depth = np.asarray(Image.open(sample['depth_path'])) / 1000
    np.testing.assert_allclose(got['depth'], depth, rtol=1e-6)
    thermal = np.asarray(Image.open(sample['thermal_path']))
    np.testing.assert_array_equal(got['thermal'], thermal.repeat(2, 0).repeat(2, 1))
    for i, path in enumerate(sample['sar_path']):
        np.testing.assert_array_equal(got['sar'][..., i], np.load(path))
    nir = np.asarray(Image.open(sample['nir_path']))[..., 3] / 255
    np.testing.assert_allclose(got['nir'], nir, atol=1e-6)


def pipeline(specs, *between, **options):
    from mmengine.dataset import Compose

    init_default_scope('mmseg')
    load = dict(type='mango_mm.LoadModalities', modalities=specs, **options)
    stack = dict(type='mango_mm.StackModalities', modalities=specs)
    labels = dict(type='mango_mm.LoadSegmentation', num_classes=5)
    return Compose([load, labels, *between, stack])


def test_all_move_with_the_labels(sample):
    flip = dict(type='RandomFlip', prob=1.0)
    crop = dict(type='RandomCrop', crop_size=(12, 16), cat_max_ratio=1.0)
    plain = pipeline(SPECS, resample=True)(dict(sample))
    assert plain['img'].shape == (*SIZE, 8)
    turned = pipeline(SPECS, flip, resample=True)(dict(sample))
    np.testing.assert_array_equal(turned['img'], plain['img'][:, ::-1])
    np.testing.assert_array_equal(turned['gt_seg_map'], plain['gt_seg_map'][:, ::-1])
    assert pipeline(SPECS, crop, resample=True)(dict(sample))['img'].shape == (12, 16, 8)


def test_what_is_an_image_is_resized_as_one(sample):
    specs = [dict(SPECS[0]), dict(SPECS[2], interpolation='bilinear'), dict(SPECS[1])]
    resize = dict(type='Resize', scale=(48, 40), keep_ratio=True)
    made = pipeline(specs, resize, resample=True)
    got = made(dict(sample))['img']
    assert got.shape == (40, 48, 5)
    thermal = np.asarray(Image.open(sample['thermal_path']))
    depth = np.asarray(Image.open(sample['depth_path'])) / np.float32(1000)
    assert set(np.unique(got[..., 4])) <= set(np.unique(depth))
    assert not set(np.unique(got[..., 3])) <= set(np.unique(thermal.astype(np.float32)))
    order = ('img',)
    for step in made.transforms:
        if hasattr(step, 'channel_order'):
            order = step.channel_order(order)
    assert order == ('img', 'thermal', 'depth')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(dtype='uint16'), 'thermal must hold uint16; got uint8 from .*thermal.png'),
        (dict(channels=2), r'channels \[0, 1\] of thermal must be in 0\.\.0'),
        (dict(interpolation='cubic'), "interpolation of 'thermal' must be one of"),
        (
            dict(loader=dict(type='mango_mm.LoadImage')),
            "'thermal' must have 1 channels.* gives 3",
        ),
    ],
)
def test_a_spec_that_does_not_fit_is_named(sample, change, message):
    with pytest.raises(ValueError, match=message):
        LoadModalities([SPECS[0], {**SPECS[2], **change}], resample=True)(dict(sample))


def test_another_size_is_an_error_unless_it_may_be_resampled(sample):
    with pytest.raises(ValueError, match=r'thermal must have the size of the image, 20 x 24'):
        LoadModalities(SPECS[:3])(dict(sample))


def test_an_absent_modality_has_all_its_channels(sample):
    got = pipeline(SPECS, resample=True)({**sample, 'sar_path': None})['img']
    assert np.isnan(got[..., 5:7]).all()
    assert np.isfinite(got[..., :5]).all()


def test_files_of_one_modality_must_be_of_one_size(sample, tmp_path):
    np.save(tmp_path / 'small.npy', np.zeros((4, 4)))
    paths = [sample['sar_path'][0], str(tmp_path / 'small.npy')]
    with pytest.raises(ValueError, match='files of sar must be of one size'):
        LoadArray('sar')({'sar_path': paths})


def test_full_scale_needs_integers(tmp_path):
    np.save(tmp_path / 'x.npy', np.zeros((4, 4)))
    with pytest.raises(ValueError, match="scale='full' of x needs 8 or 16 bits; got float64"):
        LoadArray('x', scale='full')({'x_path': str(tmp_path / 'x.npy')})
    np.save(tmp_path / 'y.npy', np.full((4, 4), 65535, np.uint16))
    assert (LoadArray('y', scale='full')({'y_path': str(tmp_path / 'y.npy')})['y'] == 1).all()


def test_labels_may_be_one_channel_of_several():
    stored = np.zeros((4, 4, 4), np.uint8)
    stored[..., 0] = 3
    results = dict(seg_map_path=stored, ori_shape=(4, 4), seg_fields=[])
    got = LoadSegmentation(5, channel=0)(dict(results))['gt_seg_map']
    assert (got == 3).all()
    with pytest.raises(ValueError, match='say which in channel of LoadSegmentation'):
        LoadSegmentation(5)(dict(results))


def test_fill_is_what_stands_where_nothing_was_measured():
    spec = dict(name='d', channels=1, mean=[2.0], std=[4.0], missing=0.0)
    image = torch.tensor([0.0, 2.0, 6.0, float('nan')]).view(1, 1, 4)
    for fill, wanted in ((None, 0.0), (10.0, 2.0)):
        made = MultimodalSegDataPreProcessor([spec if fill is None else {**spec, 'fill': fill}])
        got = made.normalise(image).flatten().tolist()
        assert got == [wanted, 0.0, 1.0, wanted]


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    folder = make_rooms(tmp_path / 'rooms')
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(folder))
    return folder


def estimating(tmp_path, **options):
    known = {'True': True, 'False': False}
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(2, 2)])
    short = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    config = load_config(MANGO, work_dir=tmp_path / 'work', options={**short, **options})
    for spec in config.model.data_preprocessor.modalities:
        if spec.name == 'depth':
            spec.update(mean='estimate', std='estimate')
    return config


def test_statistics_are_estimated_once_on_the_training_list_and_saved(rooms, tmp_path):
    config = estimating(tmp_path)
    runner = apis.train(config)
    dataset = DATASETS.build({**config.train_dataloader.dataset, 'pipeline': []})
    values = np.concatenate([
        np.asarray(Image.open(dataset.get_data_info(i)['depth_path'])).ravel() / 5000
        for i in range(len(dataset))
    ])  # fmt: skip
    values = values[values > 0]
    preprocessor = runner.model.data_preprocessor
    assert float(preprocessor.mean[3]) == pytest.approx(values.mean(), rel=1e-5)
    assert float(preprocessor.std[3]) == pytest.approx(values.std(), rel=1e-5)
    assert float(preprocessor.mean[0]) == pytest.approx(123.675)
    scores = apis.test(config, tmp_path / 'work/iter_2.pth')  # the checkpoint has them
    assert 0 <= scores['mIoU'] <= 100
    _, model = apis.open_model(config, tmp_path / 'work/iter_2.pth')
    torch.testing.assert_close(model.data_preprocessor.mean, preprocessor.mean)
    _, fresh = apis.open_model(config)
    with pytest.raises(ValueError, match=r"\('depth',\) are to be estimated .*load a checkpoint"):
        fresh.data_preprocessor.normalise(torch.zeros(4, 8, 8))


def test_what_was_never_measured_cannot_be_estimated(rooms, tmp_path):
    for path in (rooms / 'depth').rglob('*.png'):
        Image.fromarray(np.zeros((72, 96), np.uint16)).save(path)
    with pytest.raises(
        ValueError, match="deviation of 'depth' cannot be estimated: in 8 samples 0 values"
    ):
        apis.train(estimating(tmp_path))


def test_pictures_of_any_range():
    stack = np.zeros((7, 4, 6), np.float32)
    stack[:3] = 200
    stack[3:6] = np.linspace(-1, 1, 24).reshape(4, 6)
    stack[6, :2] = 5
    got = modality_images(stack, dict(rgb=3, normal=3, depth=1), dict(depth=0.0))
    assert (got['rgb'] == 200).all()
    assert got['normal'].min() == 0
    assert got['normal'].max() == 255
    assert (got['depth'][2:] == 0).all()
    measured = modality_images(stack, dict(rgb=3, normal=3, depth=1), dict(depth=None))
    assert (measured['depth'][2:] != 0).any()  # a zero of thermal is a temperature


def test_colours_of_16_bits_are_not_cut(tmp_path):
    import cv2

    stored = RNG.integers(0, 65536, (*SIZE, 3)).astype(np.uint16)
    path = str(tmp_path / 'x.png')
    cv2.imwrite(path, stored[..., ::-1])
    got = LoadArray('x', dtype='uint16')({'x_path': path})['x']
    np.testing.assert_array_equal(got, stored)
    scaled = LoadArray('x', scale='full')({'x_path': path})['x']
    np.testing.assert_allclose(scaled, stored / np.float32(65535), rtol=1e-6)


@pytest.mark.parametrize(
    ('specs', 'message'),
    [
        ([SPECS[1], dict(SPECS[2], interpolation='bilinear')], 'must follow rgb directly'),
        ([*SPECS[:2], dict(SPECS[2], interpolation='bilinear')], 'must follow rgb directly'),
        ([SPECS[0], dict(SPECS[2], interpolation='bilinear', missing=0.0)], 'would mix what was'),
    ],
)
def test_what_bilinear_cannot_be_is_said(specs, message):
    with pytest.raises(ValueError, match=message):
        LoadModalities(specs)


def test_colours_are_not_changed_behind_an_early_stack(sample):
    specs = [dict(SPECS[0], mean=[0.0] * 3, std=[1.0] * 3),
             dict(SPECS[2], interpolation='bilinear', mean=[0.0], std=[1.0])]  # fmt: skip
    made = pipeline(specs, dict(type='PhotoMetricDistortion'), resample=True)
    with pytest.raises(
        ValueError, match=r"PhotoMetricDistortion changes colours, and \['thermal'\]"
    ):
        MultimodalSegDataPreProcessor(specs).check_order(made.transforms)


def mixed(config):
    """mmseg's mosaic around the training data, its packing behind it."""
    inner = config.train_dataloader.dataset
    steps = list(inner.pipeline)
    first = next(i for i, t in enumerate(steps) if t.type.endswith('StackModalities'))
    inner.pipeline = steps[:first]
    config.train_dataloader.dataset = dict(
        type='MultiImageMixDataset', dataset=inner, pipeline=[
            dict(type='RandomMosaic', prob=0.0, img_scale=(72, 96)), *steps[first:]],
    )  # fmt: skip
    return config


def test_behind_a_mix_of_images_nothing_is_lost(rooms, tmp_path):
    """Statistics, order of channels, and what is absent: mmseg's wrapper packs by itself."""
    plain, config = estimating(tmp_path), mixed(estimating(tmp_path))
    runner = apis.train(config)
    wanted = apis.train(plain).model.data_preprocessor
    torch.testing.assert_close(runner.model.data_preprocessor.mean, wanted.mean)
    config.train_dataloader.dataset.pipeline[1]['keys'] = ['depth', 'img']
    with pytest.raises(ValueError, match="stacks .*'depth', 'img'.* and the model reads"):
        apis.train(config)
    sample = runner.train_dataloader.dataset[0]
    sample['inputs'][3] = float('nan')
    assert 'present' not in sample['data_samples'].metainfo
    data = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    done = runner.model.data_preprocessor(data, True)
    assert done['data_samples'][0].present == dict(rgb=True, depth=False)


def test_statistics_over_parts_and_of_what_is_cut_off(rooms, tmp_path):
    config = estimating(tmp_path)
    own = config.train_dataloader.dataset
    config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[own, own])
    both = apis.train(config).model.data_preprocessor
    plain = estimating(tmp_path)
    wanted = apis.train(plain).model.data_preprocessor
    torch.testing.assert_close(both.mean, wanted.mean, rtol=1e-5, atol=1e-5)
    cut = estimating(tmp_path)
    steps = cut.train_dataloader.dataset.pipeline
    at = next(i for i, t in enumerate(steps) if t.type.endswith('LoadSegmentation'))
    steps.insert(at + 1, dict(type='mango_mm.CropBorder', left=48))
    got = apis.train(cut).model.data_preprocessor
    dataset = DATASETS.build({**cut.val_dataloader.dataset, 'ann_file': 'train.txt'})
    values = np.concatenate([dataset[i]['inputs'][3, :, 48:].numpy().ravel() for i in range(8)])
    assert float(got.mean[3]) == pytest.approx(values[values > 0].mean(), rel=1e-4)


def test_a_constant_channel_stays_what_it_is(sample, tmp_path):
    from mango_mm.engine.hooks import EstimateStatisticsHook

    specs = [dict(name='x', channels=2, mean='estimate', std='estimate')]
    preprocessor = MultimodalSegDataPreProcessor(specs)

    class Data:
        pipeline = ()

        def __len__(self):
            return 3

        def get_data_info(self, index):
            image = np.full((4, 4, 2), 7.0)
            image[..., 1] = np.arange(16).reshape(4, 4) + index
            return dict(img=image)

    class Logger:
        said = []

        def info(self, text):
            self.said.append(text)

        warning = info

    class Run:
        rank, logger = 0, Logger()
        model = torch.nn.Module()
        train_dataloader = type('L', (), dict(dataset=Data()))

    Run.model.data_preprocessor = preprocessor
    EstimateStatisticsHook().before_train(Run)
    assert preprocessor.mean.flatten().tolist() == pytest.approx([7.0, 8.5])
    assert float(preprocessor.std[0]) == 1
    assert any('channels [0] are constant' in text for text in Logger.said)


def test_what_is_estimated_can_be_exported():
    spec = dict(name='d', channels=2, mean='estimate', std='estimate', missing=0.0)
    made = MultimodalSegDataPreProcessor([spec])
    made.set_statistics('d', [1.0, 2.0], [2.0, 4.0])

    class Normalised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = made

        def forward(self, images):
            return self.inner.normalise(images)

    image = torch.rand(1, 2, 4, 4)
    program = torch.export.export(Normalised(), (image,))
    torch.testing.assert_close(program.module()(image), made.normalise(image))
    other = MultimodalSegDataPreProcessor([spec])
    other.load_state_dict(made.state_dict())
    torch.testing.assert_close(other.normalise(image), made.normalise(image))
