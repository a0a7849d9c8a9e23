"""Runners on small rooms in this process, for tests that break things."""

import torch
from mmengine.runner import Runner
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.apis import load_config

KNOWN = {'True': True, 'False': False}


def options_of(count, every):
    """The options of a short run as a mapping, as the API takes them."""
    pairs = (option.split('=') for option in [*SHORT, *iterations(count, every)])
    return {k: KNOWN.get(v, int(v) if v.isdigit() else v) for k, v in pairs}


def rooms_config(folder, options, work='work', config=MANGO):
    """A config that trains on eight rooms below a folder, made when missing."""
    rooms = folder / 'rooms'
    if not rooms.exists():
        make_rooms(rooms)
    read = load_config(config, work_dir=folder / work, options=options)
    # Pictures take longer than all the rest.
    read.default_hooks.pop('visualization')
    for split in ('train', 'val', 'test'):
        read[f'{split}_dataloader'].dataset.data_root = str(rooms)
    return read


def build_runner(config, name):
    """A Runner of its own: mmengine keeps message hubs and visualizers by name."""
    config.experiment_name = f'{name}-{config.work_dir}'
    config.visualizer.name = config.experiment_name
    return Runner.from_cfg(config)


def assert_same(got, expected, name=''):
    """Nested containers, tensors in them bit for bit."""
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True, msg=name)
    elif isinstance(expected, dict):
        assert set(got) == set(expected), name
        for key, value in expected.items():
            assert_same(got[key], value, f'{name}.{key}')
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected), name
        for index, value in enumerate(expected):
            assert_same(got[index], value, f'{name}.{index}')
    else:
        assert got == expected, name
