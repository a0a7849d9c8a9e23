"""Labels that are not what the options take them for are found out before the first step."""

import logging

import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.analysis.check_data import check_data
from mango_mm.apis import load_config
from mango_mm.datasets.label_counts import LabelCounts


def counted(labels, *, void_zero):
    counts = LabelCounts(void_zero, total=1)
    counts.add(np.asarray(labels))
    return counts


@pytest.mark.parametrize(
    ('stored', 'void_zero', 'classes', 'message'),
    [
        (range(5), True, 5, r'stored as 0\.\.4 and read as 1\.\.5.*shifted.*void_zero=False'),
        ([0] * 8 + [1, 2, 3, 4, 5], True, 5, r'62 % of the pixels have label 0.*void_zero=False'),
        (range(1, 5), False, 5, r'label 0 never occurs.*1\.\.4.*void_zero=True'),
        ([0, 1, 7], False, 5, r'labels \[7\] are stored, and there are 5 classes.*num_classes'),
        ([0, 1, 6], True, 5, r'labels \[6\] are stored.*after 0 = void'),
        (range(5), False, 5, None),
        (range(6), True, 5, None),
        ([*range(6), 255], True, 5, None),
        ([0, 1, 2, 255], False, 5, None),  # a class that never occurs is told, not a problem
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_the_option_that_mends_it(
    stored, void_zero, classes, message
):
    found = counted(list(stored), void_zero=void_zero).problems(classes)
    assert len(found) == (message is not None), found
    if message is not None:
        import re

        assert re.search(message, found[0]), found


def test_shares_and_what_never_occurs():
    counts = counted([0, 1, 1, 3, 255], void_zero=True)
    np.testing.assert_allclose(counts.shares(3), [2 / 3, 0, 1 / 3])
    assert counts.never(3) == ['1']
    counts.classes = ('wall', 'floor', 'bed')
    assert counts.table(3) == 'labels of 1 of 1 samples: wall 66.7 %, bed 33.3 %; never: floor'


@pytest.fixture
def shifted(tmp_path, monkeypatch):
    """Rooms whose config says that 0 is void; it is the wall."""
    root = make_rooms(tmp_path / 'rooms')
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(root))
    return {f'{p}_dataloader.dataset.void_zero': True for p in ('train', 'val', 'test')}


def test_a_training_says_so_before_its_first_step(shifted, tmp_path):
    options = dict(o.split('=') for o in [*SHORT, *iterations(1, 1)])
    options = {k: {'False': False}.get(v, v) for k, v in options.items()}
    options = {k: int(v) if str(v).isdigit() else v for k, v in options.items()}
    config = load_config(MANGO, work_dir=tmp_path / 'work', options=options | shifted)
    config.experiment_name = f'labels-{tmp_path.name}'
    Runner.from_cfg(config).train()
    (log,) = (tmp_path / 'work').glob('*/*.log')
    text = log.read_text()
    assert 'labels of 8 of 8 samples:' in text
    at = text.index('LABELS: labels are stored as 0..9 and read as 1..10')
    assert 'void_zero=False' in text[at:]
    assert at < text.index('Iter(train)')


def test_check_data_lists_it_and_every_missing_file(shifted, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    lines = []
    problems, _ = check_data(MANGO, splits=['train'], options=shifted, say=lines.append)
    assert any('shifted by one' in str(p) for p in problems)
    assert lines[0].startswith('train: labels of 8 of 8 samples:')
    root = tmp_path / 'rooms'
    for line in (root / 'train.txt').read_text().splitlines()[:3]:
        (root / line.split('\t')[2]).unlink()
    problems, counts = check_data(MANGO, splits=['train'])
    missing = [p for p in problems if 'depth file' in str(p) and 'does not exist' in str(p)]
    assert len(missing) == 3
    assert counts == {'train': 8}
    Image.fromarray(np.full((72, 96), 12, np.uint8)).save(root / line.split('\t')[1])
    problems, _ = check_data(MANGO, splits=['train'])
    assert any('labels [12] are stored, and there are 10 classes' in str(p) for p in problems)
