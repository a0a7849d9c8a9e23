"""A training that meets NaN stops with a reason, or skips and counts, as configured."""

import numpy as np
import pytest
import torch
from faults import build_runner, options_of, rooms_config
from mmengine.hooks import Hook

from mango_mm.checkpoints import load_safely
from mango_mm.engine.hooks import FiniteLossHook
from mango_mm.flows import ActNorm


class AfterStep(Hook):
    """Calls a function after each step; an optimiser there is from the start of training on."""

    def __init__(self, call):
        self.call = call

    def before_train(self, runner):
        runner.optim_wrapper.optimizer.register_step_post_hook(self.call)


def test_the_shipped_runtime_stops_before_spoilt_weights_are_saved(tmp_path):
    options = options_of(20, 10)
    options['optim_wrapper.optimizer.lr'] = 1e20
    options['optim_wrapper.clip_grad'] = None
    runner = build_runner(rooms_config(tmp_path, options), 'finite')
    with pytest.raises(FloatingPointError, match=r"'loss': .* at iteration 10; at .* Samples") as e:
        runner.train()
    assert '.jpg' in str(e.value)
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_weights_that_are_not_finite_are_not_saved_between_two_looks(tmp_path):
    options = options_of(4, 2)
    runner = build_runner(rooms_config(tmp_path, options), 'unsaved')

    def spoil(optimizer, *_):
        optimizer.param_groups[0]['params'][0].data.fill_(float('nan'))

    runner.register_hook(AfterStep(spoil))
    with pytest.raises(FloatingPointError, match='not finite at iteration 2; no checkpoint'):
        runner.train()
    assert not list((tmp_path / 'work').glob('*.pth'))


def run_with(tmp_path, name, broken, **hook):
    """Six iterations; the batches of the iterations named have an image of NaN."""
    config = rooms_config(tmp_path, options_of(6, 3), work=name)
    config.model.neck.fusion.recipe = ['actnorm', 'mmca', 'imca', 'lica', 'coupling']
    for custom in config.custom_hooks:
        if custom['type'].endswith('FiniteLossHook'):
            custom.update(action='skip', **hook)
    runner = build_runner(config, name)
    preprocess, seen = runner.model.data_preprocessor.forward, [0]

    def spoil(data, training=False):
        out = preprocess(data, training)
        if training:
            seen[0] += 1
            if seen[0] in broken:
                out['inputs'][:1] = np.nan
        return out

    runner.model.data_preprocessor.forward = spoil
    steps = []

    def count(optimizer, *_):
        steps.append(max([int(s['step']) for s in optimizer.state.values()], default=0))

    runner.register_hook(AfterStep(count))
    return runner, steps


def test_skipped_steps_are_counted_and_touch_nothing(tmp_path):
    """The first batch, which ActNorm would start from, and one in the middle."""
    runner, steps = run_with(tmp_path, 'skip', broken={1, 4})
    runner.train()
    assert steps == [0, 1, 2, 2, 3, 4]
    saved = load_safely(tmp_path / 'skip' / 'iter_6.pth')
    assert saved['message_hub']['runtime_info']['skipped_iterations'] == 2
    values = [v for v in saved['state_dict'].values() if v.is_floating_point()]
    assert all(torch.isfinite(v).all() for v in values)
    flags = {k: v for k, v in saved['state_dict'].items() if k.endswith('initialised')}
    assert flags
    assert all(flags.values())
    assert any('running_mean' in k for k in saved['state_dict'])
    log = next((tmp_path / 'skip').glob('*/*.log')).read_text()
    assert log.count('gradients are not finite; the step is skipped') == 2
    assert 'iteration 4: gradients are not finite; the step is skipped (2 so far)' in log
    assert '.jpg' in log.split('Samples: ')[1].splitlines()[0]
    assert '2 optimiser steps were skipped for NaN' in log


def test_too_many_in_a_row_stop(tmp_path):
    runner, _ = run_with(tmp_path, 'row', broken={2, 3, 4}, max_skips=2)
    with pytest.raises(FloatingPointError, match='iteration 4: .* More than max_skips=2 in a row'):
        runner.train()


def test_act_norm_is_not_started_by_a_broken_batch():
    layer = ActNorm(3)
    x = 5 + 2 * torch.randn(4, 6, 3)
    broken = x.clone()
    broken[1, 2, 0] = float('inf')
    layer(broken)
    assert not layer.initialised
    assert torch.equal(layer.log_scale, torch.zeros(3))
    y, _ = layer(x)
    assert layer.initialised
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(interval=0), 'interval must be positive; got 0'),
        (dict(max_skips=0), 'max_skips must be positive; got 0'),
        (dict(action='ignore'), "action must be 'stop' or 'skip'; got 'ignore'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FiniteLossHook(**arguments)
