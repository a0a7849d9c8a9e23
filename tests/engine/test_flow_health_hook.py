"""The health of flows: numbers that can be computed otherwise, and warnings in time."""

import json
import logging
import re

import pytest
import torch
from mmengine.runner import Runner
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.apis import load_config
from mango_mm.explicit.health import first_flows, flow_health
from mango_mm.flows import Chain, InvertibleCrossAttention, TokenPartition
from mango_mm.fusion import MangoFusion


def ica(gate=0.25, **options):
    halves = TokenPartition(fixed=(0, 1), moved=(2, 3))
    return InvertibleCrossAttention(4, halves, num_heads=2, gate_init=gate, **options)


def test_the_numbers_of_a_flow_of_known_gates():
    flow = Chain(ica(0.5), ica(-0.8)).double().train()
    x = torch.randn(5, 4, 4, dtype=torch.float64)
    found = flow_health(flow, x)
    assert flow.training
    assert found['round_trip'] < 1e-12
    assert found['gate'] == pytest.approx(0.8)
    wanted = torch.log10(torch.tensor([1.5 / 0.5, 1.8 / 0.2])).sum().item()
    assert found['condition'] == pytest.approx(wanted)
    log_det = flow(x)[1]
    assert found['log_det_spread'] == pytest.approx((log_det / 16).std().item())
    assert 'log_det_spread' not in flow_health(flow, x[:1])


def test_a_flow_that_is_not_invertible_shows():
    fusion = MangoFusion(('a', 'b'), 8, 16, depth=6, layers=dict(gate='paper'))
    good = MangoFusion(('a', 'b'), 8, 16, depth=6)
    x = torch.randn(3, 32, 8)
    assert flow_health(good.flow, x)['round_trip'] < 1e-4
    assert not flow_health(fusion.flow, x)['round_trip'] < 1e-2


def test_padding_does_not_count():
    flow = MangoFusion(('a', 'b'), 4, 3, depth=1).flow
    x = torch.randn(2, 6, 4)
    mask = torch.tensor([[1, 1, 0, 1, 1, 1], [1, 0, 0, 1, 1, 0]]).bool()
    spoiled = x.masked_fill(~mask[..., None], 1e6)
    a, b = flow_health(flow, x, mask), flow_health(flow, spoiled, mask)
    assert a == pytest.approx(b, rel=1e-4)


def test_the_outermost_flows_are_found():
    model = torch.nn.ModuleDict(
        {'a': MangoFusion(('x', 'y'), 4, 3, depth=1), 'b': torch.nn.Linear(2, 2), 'c': ica()}
    )
    assert list(first_flows(model)) == ['a.flow', 'c']


def train(tmp_path, monkeypatch, **hook):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(4, 4)])
    known = {'True': True, 'False': False}
    options = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    config = load_config(MANGO, work_dir=tmp_path / 'work', options=options)
    config.custom_hooks.append(dict(type='mango_mm.FlowHealthHook', interval=2, **hook))
    config.experiment_name = f'health-{tmp_path.name}'
    runner = Runner.from_cfg(config)
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    runner.logger.addHandler(handler)
    runner.train()
    return [m for m in messages if 'FlowHealthHook' in m], messages


def test_a_training_logs_its_flows_health_and_is_silent_while_all_is_well(tmp_path, monkeypatch):
    warned, messages = train(tmp_path, monkeypatch, per_layer=True)
    assert warned == []
    found = re.findall(
        r'flow/round_trip: ([\d.]+)  flow/log_det_spread: ([\d.]+)  flow/gate: ([\d.]+)  '
        r'flow/condition: ([\d.]+)', ' '.join(messages)
    )  # fmt: skip
    assert found  # in the text log, beside the losses
    (path,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seen = [line for line in lines if 'flow/round_trip' in line]
    assert seen
    for line in seen:
        assert 0 < line['flow/round_trip'] < 1e-3
        assert 0 < line['flow/gate'] < 0.9
        assert line['flow/condition'] > 0
        assert line['flow/log_det_spread'] >= 0
        layers = {k: v for k, v in line.items() if re.fullmatch(r'flow/links.*/condition', k)}
        assert len(layers) == 16  # two blocks of 2 + 4 + 2 ICA layers
        assert sum(layers.values()) == pytest.approx(line['flow/condition'], rel=1e-4)


def test_it_warns_once_per_kind(tmp_path, monkeypatch):
    warned, _ = train(tmp_path, monkeypatch, max_round_trip=1e-12, max_gate_share=0.01)
    assert len(warned) == 2
    assert any('round_trip of neck.fusions.1.flow is' in m and 'iteration 2' in m for m in warned)
    assert any('gate of neck.fusions.1.flow is' in m for m in warned)


def test_an_interval_must_be_positive():
    from mango_mm.engine.hooks import FlowHealthHook

    with pytest.raises(ValueError, match='must be positive; got 0, 4'):
        FlowHealthHook(interval=0)


def test_what_it_logs_reaches_tensorboard(tmp_path, monkeypatch):
    """Through mmengine's visualizer, read back with TensorBoard's own reader."""
    from faults import build_runner, options_of, rooms_config
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = rooms_config(tmp_path, options_of(4, 4))
    config.custom_hooks.append(dict(type='mango_mm.FlowHealthHook', interval=2))
    config.visualizer.vis_backends = [dict(type='TensorboardVisBackend')]
    build_runner(config, 'tensorboard').train()
    (events,) = (tmp_path / 'work').glob('*/vis_data/events.out.tfevents.*')
    read = EventAccumulator(str(events))
    read.Reload()
    tags = read.Tags()['scalars']
    assert 'loss' in tags
    health = [tag for tag in tags if 'round_trip' in tag]
    assert health, tags
    assert 0 <= read.Scalars(health[0])[-1].value < 1e-2
