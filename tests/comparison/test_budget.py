"""A shortened training ends: its rate has decayed, it was validated and saved."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mango_mm.comparison.budget import WARM_UP, budget

SCHEDULES = Path(__file__).resolve().parents[2] / 'configs/_base_/schedules'


@pytest.mark.parametrize('name', ['scratch_600it', 'movies_600it', 'translation_600it'])
@pytest.mark.parametrize('iters', [1, 2, 300, 600, 1001])
def test_the_schedule_ends_with_the_training(name, iters):
    config = Config.fromfile(SCHEDULES / f'{name}.py')
    config.merge_from_dict(budget(iters))
    warm_up, decay = config.param_scheduler
    assert warm_up.end == decay.begin == WARM_UP
    assert decay.end == max(iters, WARM_UP + 1)
    assert config.train_cfg.max_iters == iters
    assert 1 <= config.train_cfg.val_interval <= max(1, iters // 2)
    assert config.default_hooks.checkpoint.interval == config.train_cfg.val_interval


def test_its_own_length_changes_nothing_but_the_validations():
    config = Config.fromfile(SCHEDULES / 'scratch_600it.py')
    before = config.to_dict()
    config.merge_from_dict(budget(600))
    assert config.to_dict() == before
