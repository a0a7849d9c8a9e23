"""Shared by all tests: fixed seeds, one thread a worker, small Hypothesis budgets."""

import importlib.util
import os
import re
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
settings.register_profile('fast', max_examples=25, deadline=None, derandomize=True)
settings.load_profile('fast')

# Makers of test data, no tests: two of them share a name.
collect_ignore_glob = ['data/*']

# Where hosts are missing, only what needs none is collected.
HOSTLESS = {'flows', 'fusion', 'testing'}
if importlib.util.find_spec('mmseg') is None:
    collect_ignore = [
        path.name for path in Path(__file__).parent.iterdir()
        if path.is_dir() and path.name not in HOSTLESS or path.name.startswith('test_')
    ]  # fmt: skip

elif importlib.util.find_spec('mmagic') is None:  # HOSTS=onedl: no translation
    collect_ignore = [
        str(path.relative_to(Path(__file__).parent))
        for path in Path(__file__).parent.rglob('*.py')
        if re.search(
            r'^ *(?:import|from) (?:mmagic|test_configs|training_step)\b',
            path.read_text(),
            re.MULTILINE,
        )
        or re.search(r'translat|taskonomy|autoencoder|latent.flow', path.stem)
    ]


SALT = 178  # with it thirds of the slow tests take about as long: 993, 989 and 979 s of one core


def pytest_addoption(parser):
    parser.addoption('--part', default='1/1', help='K/N: the K-th of N parts of the test files')


def pytest_collection_modifyitems(config, items):
    """Leave out what is in other parts; a file is in the same part in every run."""
    given = config.getoption('part')
    match = re.fullmatch(r'([1-9]\d*)/([1-9]\d*)', given)
    if match is None or int(match[1]) > int(match[2]):
        raise pytest.UsageError(f'--part must be K/N with K of 1..N; got {given!r}')
    part, parts = map(int, match.groups())
    chosen, others = [], []
    for item in items:
        file = item.nodeid.partition('::')[0]
        (chosen if zlib.crc32(file.encode(), SALT) % parts == part - 1 else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


@pytest.fixture(autouse=True)
def _reproducible():
    torch.manual_seed(0)
    torch.set_num_threads(1 if 'PYTEST_XDIST_WORKER' in os.environ else 2)


@pytest.fixture(scope='session')
def real_data():
    """The folder with the real data of the project, or a skip that says so."""
    folder = Path(os.environ.get('MANGO_DATA_ROOT', ROOT.parent / 'shared' / 'data'))
    if not (folder / 'nyuv2' / 'train.txt').is_file():
        pytest.skip(f'no nyuv2/train.txt in {folder}; set MANGO_DATA_ROOT')
    return folder
