"""Modalities stacked in another order than the model reads them in are an error, by name."""

import pytest
from rooms import MANGO, SHORT, iterations, make_rooms, run

from mango_mm.apis import load_config
from mango_mm.datasets.transforms import StackModalities
from mango_mm.inferencers import MangoInferencer
from mango_mm.models.segmentors import MultimodalSegDataPreProcessor


def processor(*names):
    spec = dict(channels=1, mean=[0.0], std=[1.0])
    return MultimodalSegDataPreProcessor({name: dict(spec) for name in names})


@pytest.mark.parametrize(
    ('names', 'stacks', 'fits'),
    [
        (('rgb', 'depth'), [('img', 'depth')], True),
        (('rgb', 'depth'), [('depth', 'img')], False),
        (('depth', 'rgb'), [('depth', 'img')], True),
        (('rgb', 'hha', 'depth'), [('img', 'hha'), ('img', 'depth')], True),
        (('rgb', 'hha', 'depth'), [('img', 'depth'), ('img', 'hha')], False),
        (('rgb', 'depth', 'normal'), [('img', 'normal', 'depth')], False),
        (('rgb', 'depth'), [], True),  # a pipeline that stacks by itself
    ],
)
def test_the_order_is_told_by_name(names, stacks, fits):
    transforms = [StackModalities(keys) for keys in stacks]
    if fits:
        processor(*names).check_order([object(), *transforms])
        return
    with pytest.raises(ValueError, match=r'stacks \[.*\], and the model reads \[.*in that order'):
        processor(*names).check_order(transforms)


def swapped(config):
    for name in ('train', 'val', 'test'):
        for step in config[f'{name}_dataloader'].dataset.pipeline:
            if step['type'].endswith('StackModalities'):
                step['keys'] = ['depth', 'img']
    return config


@pytest.mark.slow
def test_training_and_inference_refuse_it_before_the_first_step(tmp_path, monkeypatch):
    rooms = make_rooms(tmp_path / 'rooms')
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(rooms))
    path = tmp_path / 'swapped.py'
    swapped(load_config(MANGO)).dump(path)
    done = run(
        rooms, 'tools/train.py', path, '--work-dir', tmp_path / 'work', '--cfg-options', *SHORT,
        *iterations(1, 1), cwd=MANGO.parents[2], check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "the pipeline stacks ['depth', 'img'], and the model reads ['rgb', 'depth']" in (
        done.stderr
    )
    with pytest.raises(ValueError, match='StackModalities in the model'):
        MangoInferencer(swapped(load_config(MANGO)))
