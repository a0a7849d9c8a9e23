"""A training that goes to NaN stops with a reason."""

import pytest
from mmengine.runner import Runner
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.apis import load_config
from mango_mm.engine.hooks import FiniteLossHook


def test_the_shipped_runtime_stops_before_spoilt_weights_are_saved(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    known = {'True': True, 'False': False}
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(20, 10)])
    options = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    options['optim_wrapper.optimizer.lr'] = 1e20
    options['optim_wrapper.clip_grad'] = None
    config = load_config(MANGO, work_dir=tmp_path / 'work', options=options)
    config.experiment_name = f'finite-{tmp_path.name}'
    runner = Runner.from_cfg(config)
    with pytest.raises(FloatingPointError, match=r"'loss': .* at iteration 10; at iteration 0"):
        runner.train()
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_an_interval_must_be_positive():
    with pytest.raises(ValueError, match='interval must be positive; got 0'):
        FiniteLossHook(0)
