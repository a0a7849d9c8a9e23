"""The field's data sets: official layouts, classes, splits; and through train, test, inference."""

import re

import field_data
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from rooms import ROOT, SHORT, run

from mango_mm import apis
from mango_mm.analysis.check_data import check_data
from mango_mm.analysis.robustness import RobustnessCheck
from mango_mm.apis import load_config, train
from mango_mm.datasets.muses_projection import Calibration, project_events, project_points
from mango_mm.inferencers import MangoInferencer
from mango_mm.registry import DATASETS

CONCAT = {p.stem.split('-')[-2].split('_')[-1]: p for p in (ROOT / 'configs/concat').glob('*mit*')}
# Classes, samples of the publications, samples of the fakes, modalities with channels.
FACTS = {
    'mfnet': (9, dict(train=784, val=392, test=393), (4, 2, 2), dict(rgb=3, thermal=1)),
    'pst900': (5, dict(test=288), (18, 2, 2), dict(rgb=3, thermal=1)),
    'fmb': (14, dict(test=280), (18, 2, 2), dict(rgb=3, infrared=1)),
    'mcubes': (20, dict(train=302, val=96, test=102), (4, 2, 2),
               dict(rgb=3, aolp=2, dolp=1, nir=1)),
    'deliver': (25, dict(train=3983, val=2005, test=1897), (30, 30, 30),
                dict(rgb=3, hha=3, event=2, lidar=1)),
    'muses': (19, dict(train=1500, val=250, test=750), (4, 4, 4),
              dict(rgb=3, event=2, lidar=3, radar=2)),
}  # fmt: skip
SMALL = {
    'model.backbone.backbone.embed_dims': 8,
    'model.backbone.backbone.num_layers': [1, 1, 1, 1],
    'model.neck.in_channels': [8, 16, 40, 64],
    'model.decode_head.in_channels': [8, 16, 40, 64],
    'model.decode_head.channels': 16,
    'model.data_preprocessor.size': (32, 64),
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'default_hooks.checkpoint.interval': 2,
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """All fakes, written once; MUSES projected by its tool."""
    root = tmp_path_factory.mktemp('field')
    for name in FACTS:
        getattr(field_data, name)(root / name)
    said = run('', 'tools/prepare/muses.py', root / 'muses', cwd=ROOT, check=True)
    assert '12 frames, 36 files written' in said.stdout
    return root


def config_of(name, data, **options):
    known = {'True': True, 'False': False}
    pairs = (o.split('=') for o in SHORT)
    short = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs}
    config = load_config(CONCAT[name], options={**short, **SMALL, **options})
    for split in ('train', 'val', 'test'):
        config[f'{split}_dataloader'].dataset.data_root = str(data / name)
    for step in config.train_dataloader.dataset.pipeline:
        if step.type == 'RandomResize':
            step.scale = (64, 48)
        if step.type == 'RandomCrop':
            step.crop_size = (32, 64)
    return config


@pytest.mark.parametrize('name', FACTS)
def test_classes_and_splits_are_those_of_the_publications(name, data):
    classes, sizes, counts, modalities = FACTS[name]
    config = config_of(name, data)
    init_default_scope('mmseg')
    kind = DATASETS.get(config.train_dataloader.dataset.type)
    assert len(kind.METAINFO['classes']) == len(kind.METAINFO['palette']) == classes
    assert len(set(map(tuple, kind.METAINFO['palette']))) == classes
    assert kind.SIZES == sizes
    assert {m.name: m.channels for m in config.modalities} == modalities
    found = [DATASETS.build(config[f'{s}_dataloader'].dataset) for s in ('train', 'val')]
    spec = dict(config.test_dataloader.dataset)
    if name == 'muses':  # its test split has no labels, and is not what is scored
        assert spec['split'] == 'val'
        spec.update(split='test', pipeline=[])
    found.append(DATASETS.build(spec))
    assert tuple(map(len, found)) == counts
    ids = [{d.get_data_info(i)['img_path'] for i in range(len(d))} for d in found]
    assert len(set().union(*ids)) == sum(counts)
    sample = found[1][0]
    assert sample['inputs'].shape[0] == sum(modalities.values())
    values = set(sample['data_samples'].gt_sem_seg.data.unique().tolist())
    assert values - {255} <= set(range(classes))
    assert len(values) > classes * 0.7


def test_stored_values_arrive_where_they_should(data):
    init_default_scope('mmseg')
    mfnet = DATASETS.build(config_of('mfnet', data).val_dataloader.dataset)[0]
    stored = np.asarray(Image.open(data / 'mfnet/images/00005D.png'))
    np.testing.assert_array_equal(mfnet['inputs'].numpy(), stored.transpose(2, 0, 1))
    assert mfnet['data_samples'].conditions == dict(time='day')

    mcubes = DATASETS.build(config_of('mcubes', data).val_dataloader.dataset)[0]
    name = f'outscene1208_val_{0:010d}'
    assert mcubes['inputs'].shape == (7, 48, 64)  # without the 192 columns
    for channel, part in ((3, 'polL_aolp_sin'), (4, 'polL_aolp_cos'), (5, 'polL_dolp')):
        wanted = np.load(data / 'mcubes' / part / f'{name}.npy')[:, 192:]
        np.testing.assert_array_equal(mcubes['inputs'][channel].numpy(), wanted)
    nir = np.asarray(Image.open(data / 'mcubes/NIR_warped' / f'{name}.png'))[:, 192:] / 65535
    np.testing.assert_allclose(mcubes['inputs'][6].numpy(), nir, atol=1e-6)
    truth = np.asarray(Image.open(data / 'mcubes/GT' / f'{name}.png'))[:, 192:]
    np.testing.assert_array_equal(mcubes['data_samples'].gt_sem_seg.data[0].numpy(), truth)

    deliver = DATASETS.build(config_of('deliver', data).val_dataloader.dataset)
    sample = next(s for s in deliver if s['data_samples'].conditions['case'] == 'eventlowres')
    place = sample['data_samples'].sample_id
    assert place.startswith('cloud/val/MAP_1_point3_eventlowres/')
    stored = np.asarray(Image.open(data / f'deliver/semantic/{place}_semantic_front.png'))[..., 0]
    wanted = np.where((stored == 0) | (stored == 255), 255, stored - 1)
    np.testing.assert_array_equal(sample['data_samples'].gt_sem_seg.data[0].numpy(), wanted)
    event = np.asarray(Image.open(data / f'deliver/event/{place}_event_front.png'))
    assert event.shape == (24, 32, 3)  # at half the size, brought to that of RGB
    np.testing.assert_array_equal(sample['inputs'][6:8, ::2, ::2].numpy(),
                                  event[..., [0, 2]].transpose(2, 0, 1))  # fmt: skip

    fmb = DATASETS.build(config_of('fmb', data).val_dataloader.dataset)
    for i in range(2):
        info = fmb.get_data_info(i)
        stored = np.asarray(Image.open(info['infrared_path']))
        grey = stored if stored.ndim == 2 else stored[..., 0]
        np.testing.assert_array_equal(fmb[i]['inputs'][3].numpy(), grey)


@pytest.mark.parametrize('name', FACTS)
def test_trains_tests_infers_and_is_degraded(name, data, tmp_path):
    config = config_of(name, data, work_dir=str(tmp_path / 'work'))
    runner = train(config)
    preprocessor = runner.model.data_preprocessor
    assert torch.isfinite(preprocessor.mean).all()
    assert (preprocessor.std > 0).all()
    checkpoint = tmp_path / 'work' / 'iter_2.pth'
    scores = apis.test(config, checkpoint, show_dir=tmp_path / 'panels')
    assert 0 <= scores['mIoU'] <= 100
    conditions = {k for k in scores if k.startswith('mIoU_')}
    assert conditions == {
        'mfnet': {'mIoU_day', 'mIoU_night'},
        'muses': {'mIoU_clear', 'mIoU_rain', 'mIoU_day', 'mIoU_night'},
        'deliver': {*(f'mIoU_{w}' for w in ('cloud', 'fog', 'night', 'rain', 'sun')),
                    'mIoU_normal', 'mIoU_lidarjitter', 'mIoU_eventlowres'},
    }.get(name, set())  # fmt: skip
    panels = list((tmp_path / 'panels').glob('*.png'))
    assert len(panels) == (30 if name == 'deliver' else 4 if name == 'muses' else 2)
    infer = MangoInferencer(config, checkpoint)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    info = dataset.get_data_info(0)
    names = list(infer.modalities)
    inputs = {m: info['img_path' if m == 'rgb' else f'{m}_path'] for m in names}
    whole, lacking = infer(inputs), infer({**inputs, names[-1]: None})
    assert whole['label'].shape == field_data.SIZE
    assert set(whole['pictures']) == {*names, 'prediction'}
    assert not np.array_equal(
        whole['pictures'][names[-1]], lacking['pictures'][names[-1]]
    )  # the second is not there
    check = RobustnessCheck(config, checkpoint)
    other = names[1]  # of MCubeS one in two files
    assert f'{other}_dropout' in check.kinds
    kinds = (f'{other}_dropout', f'{other}_rotate', f'{other}_frozen', 'rgb_noise')
    lines = check.check(kinds, severities=[5])
    assert [line['kind'] for line in lines] == list(kinds)
    assert all(0 <= line['metrics']['mIoU'] <= 100 for line in lines)
    problems, counts = check_data(config)
    assert counts['train'] == FACTS[name][2][0]
    assert [p.message for p in problems if 'publication' not in p.message] == []


def test_check_data_compares_the_splits_with_the_publication(data):
    problems, _ = check_data(config_of('mfnet', data), splits=('train', 'val'))
    assert [p.message for p in problems] == [
        'has 4 samples; the publication has 784.', 'has 2 samples; the publication has 392.'
    ]  # fmt: skip


def test_samples_of_deliver_by_weather_and_case(data):
    init_default_scope('mmseg')
    spec = dict(config_of('deliver', data).val_dataloader.dataset)
    chosen = DATASETS.build({**spec, 'weathers': ('fog',), 'cases': ('lidarjitter',)})
    assert [chosen.get_data_info(i)['conditions'] for i in range(len(chosen))] == [
        dict(weather='fog', case='lidarjitter')
    ] * 2
    with pytest.raises(ValueError, match=r"weathers of .* got 'val' and \['snow'\]"):
        DATASETS.build({**spec, 'weathers': ('snow',)})
    with pytest.raises(FileNotFoundError, match=r'img/cloud/val does not exist; unpack'):
        DATASETS.build({**spec, 'data_root': str(data / 'mfnet')})


def test_a_validation_split_is_held_out_of_training(data):
    init_default_scope('mmseg')
    spec = dict(config_of('pst900', data).train_dataloader.dataset)
    whole = DATASETS.build({**spec, 'hold_out': None})
    assert len(whole) == 20
    with pytest.raises(ValueError, match=r"too few images to hold out every 40th.*'val'"):
        DATASETS.build({**spec, 'split': 'val', 'hold_out': 40})
    with pytest.raises(ValueError, match='val only where some are held out'):
        DATASETS.build({**spec, 'split': 'val', 'hold_out': None})


def test_points_fall_where_the_camera_sees_them(data):
    calibration = Calibration.read(data / 'muses/calib.json')
    turn = calibration.to_camera['lidar']
    # 10 m ahead, 2 m to the left and 1 m up, and a farther one behind it; one behind the car.
    points = np.array([[20.0, 4, 2, 9], [10, 2, 1, 7], [-10, 2, 1, 5], [0.5, 0, 0, 3]])
    image = project_points(points, calibration.camera, turn, field_data.SIZE, height=True)
    assert sorted(map(tuple, np.argwhere(image[..., 0]))) == [(20, 24)]  # 24 - 4, 32 - 8
    np.testing.assert_allclose(image[20, 24], [np.sqrt(105), 7, 1], rtol=1e-6)


def test_events_are_counted_by_sign(data, tmp_path):
    import h5py

    calibration = Calibration.read(data / 'muses/calib.json')
    path = tmp_path / 'e.h5'
    with h5py.File(path, 'w') as file:
        group = file.create_group('events')
        group['x'], group['y'] = np.array([3] * 300 + [5]), np.array([2] * 300 + [6])
        group['t'], group['p'] = np.arange(301), np.array([1] * 300 + [0])
    image = project_events(path, calibration, field_data.SIZE)
    assert image[2, 3].tolist() == [255, 0]
    assert image[6, 5].tolist() == [0, 1]
    assert image.astype(int).sum() == 256


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        (lambda d: (d / 'calib.json').write_text('{}'), r'intrinsics/rgb/K must be a matrix'),
        (lambda d: next(d.rglob('*lidar.bin')).write_bytes(b'x' * 50), 'rows of six float64'),
        (lambda d: next(d.rglob('*radar.png')).unlink(), r'radar\.png does not exist'),
        (lambda d: next(d.rglob('*.h5')).write_bytes(b'x'), 'cannot be read as HDF5'),
    ],
)
def test_broken_sensor_files_are_named(tmp_path, break_it, message):
    field_data.muses(tmp_path)
    break_it(tmp_path)
    said = run('', 'tools/prepare/muses.py', tmp_path, cwd=ROOT)
    assert said.returncode
    assert len(said.stderr.strip().splitlines()[-1]) > 20
    assert re.search(message, said.stderr), said.stderr


def test_modalities_that_a_data_set_lacks_and_splits_without_labels_are_said(data):
    init_default_scope('mmseg')
    spec = dict(config_of('muses', data).val_dataloader.dataset)
    with pytest.raises(ValueError, match="asks for modality 'depth'"):
        DATASETS.build({**spec, 'modalities': ('rgb', 'depth')})
    test = DATASETS.build({**spec, 'split': 'test'})
    with pytest.raises(KeyError, match='the split has no labels'):
        test[0]
    config = config_of('muses', data)
    predicts = DATASETS.build({**spec, 'split': 'test', 'pipeline': config.predict_pipeline})
    assert predicts[0]['inputs'].shape[0] == 10


def test_conditions_that_share_a_value_are_kept_apart():
    from mango_mm.registry import METRICS

    metric = METRICS.build(dict(type='mango_mm.MultimodalIoUMetric'))
    metric.dataset_meta = dict(classes=['a', 'b'])
    zeros = torch.zeros(1, 4, 4, dtype=torch.long)
    for right, known in ((1, dict(camera='ok', lidar='bad')), (0, dict(camera='bad', lidar='ok'))):
        said = zeros if right else zeros + 1
        metric.process(None, [dict(
            pred_sem_seg=dict(data=said), gt_sem_seg=dict(data=zeros), conditions=known)
        ])  # fmt: skip
    got = metric.compute_metrics(metric.results)
    assert got['mIoU_camera_ok'] > got['mIoU_camera_bad']
    assert got['mIoU_lidar_ok'] < got['mIoU_lidar_bad']
    assert 'mIoU_ok' not in got
