"""Three sensors of a real training: whichever of them breaks is the one that is doubted."""

import os

import pytest
from rooms import ROOT, SHORT, iterations

from mango_mm.analysis.failure_tables import render_failures
from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.apis import train
from mango_mm.datasets.mini.write_rooms import write_rooms

BASE = ROOT / 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'
CONFIG = """
_base_ = {base!r}
modalities = [
    dict(name='rgb', channels=3, mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4]),
    dict(name='depth', channels=1, mean=[3.2], std=[1.5], missing=0.0,
         loader=dict(type='mango_mm.LoadDepth', encoding='metric', scale=5000)),
    dict(name='normal', channels=3, mean=[127.0] * 3, std=[60.0] * 3),
]
data_preprocessor = dict(modalities=modalities)
load = [dict(type='mango_mm.LoadModalities', modalities=modalities)]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=10)
pack = [dict(type='mango_mm.StackModalities', modalities=modalities), dict(type='PackSegInputs')]
folders = dict(
    _delete_=True,
    type='mango_mm.MultimodalFolderDataset',
    data_root={root!r},
    modalities=[
        dict(name='rgb', folder='rgb', suffix='.jpg'),
        dict(name='depth', folder='depth', suffix='.png'),
        dict(name='normal', folder='normals', suffix='.png'),
    ],
    labels=dict(folder='masks', suffix='.png'),
    metainfo=dict(classes=[str(i) for i in range(10)]),
    void_zero=True,
    pipeline=[*load, labels, *pack],
)
train_dataloader = dict(dataset=dict(**folders, ann_file='train_names.txt'))
val_dataloader = dict(dataset=dict(**folders, ann_file='val_names.txt', test_mode=True))
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(modalities=modalities),
    neck=dict(modalities=modalities),
    decode_head=dict(modalities=modalities, trust=dict(grid=(2, 3), directions=16, rate=0.05)),
)
custom_hooks = [dict(type='mango_mm.TrustHook', hold_out=40, iterations=80, batch_size=8)]
"""


@pytest.fixture(scope='module')
def check(tmp_path_factory):
    folder = tmp_path_factory.mktemp('three')
    rooms = write_rooms(folder / 'rooms', train=100, val=20, size=(72, 96), taskonomy=True)
    (rooms / 'normals').mkdir()
    for name in ('train', 'val'):
        lines = (rooms / f'{name}.txt').read_text().split()
        stems = [p.partition('/')[2].partition('.')[0] for p in lines if p.startswith('rgb/')]
        (rooms / f'{name}_names.txt').write_text('\n'.join(stems) + '\n')
    for path in (rooms / 'normal').iterdir():
        os.link(path, rooms / 'normals' / f'{int(path.name.split("_")[1]):06d}.png')
    config = folder / 'three.py'
    config.write_text(CONFIG.format(base=str(BASE), root=str(rooms)))
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(8, 8)])
    known = {'True': True, 'False': False}
    options = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    train(config, work_dir=folder / 'work', options=options)
    return SensorFailures(config, folder / 'work', options, rules=['trust', 'mean', 'told'])


@pytest.mark.slow
def test_the_broken_one_of_three_is_doubted_and_named(check):
    conditions = check.conditions(['emm', 'rmm'], None)
    alone = [c for c in conditions if len(c.broken) == 1 and c.protocol == 'emm']
    assert [c.broken for c in alone] == [('rgb',), ('depth',), ('normal',)]
    lines = check.run([conditions[0], *alone])
    (clean,) = (x for x in lines if x['name'] == 'clean' and x['rule'] == 'trust')
    assert min(clean['trust'].values()) > 0.7
    for condition in alone:
        (line,) = (x for x in lines if x['name'] == condition.name and x['rule'] == 'trust')
        assert min(line['trust'], key=line['trust'].get) == condition.broken[0]
        assert line['trust'][condition.broken[0]] < 0.1
        assert line['alarms'] > 0.9
        (told,) = (x for x in lines if x['name'] == condition.name and x['rule'] == 'told')
        assert line['metrics']['mIoU'] == pytest.approx(told['metrics']['mIoU'], abs=1.5)
    table = render_failures(lines, 3)
    assert 'trust in normal' in table


@pytest.mark.slow
def test_a_frozen_one_of_three_is_named_where_of_two_it_could_not(check):
    names = ['depth_frozen:3', 'normal_frozen:3']
    lines = check.run(check.conditions(['kinds'], names))
    for name in names:
        (line,) = (x for x in lines if x['name'] == name and x['rule'] == 'trust')
        broken = name.partition('_')[0]
        assert min(line['trust'], key=line['trust'].get) == broken
