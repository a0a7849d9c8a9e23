"""A translator that knows whom to trust: one training, one inferencer, failing sources."""

import json

import pytest
import torch
from rooms import ROOT, SHORT, iterations
from rooms import run as run_on

from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.analysis.translation_failures import TranslationFailures
from mango_mm.apis import train
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.inferencers import MangoInferencer

pytestmark = pytest.mark.slow

BASE = ROOT / 'configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
TRUST = f"""
_base_ = '{BASE}'
model = dict(
    unimodal_decoders=dict(combine='trust', trust=dict(grid=(2, 3), directions=8, rate=0.2)))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.TrustHook', hold_out=8, iterations=5, batch_size=8),
]
"""
OPTIONS = {
    key: int(value) if value.isdigit() else value == 'True'
    for key, value in (o.split('=') for o in [*SHORT, *iterations(2, 2)])
}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp('translation')
    write_rooms(folder / 'rooms', train=16, val=5, size=(96, 128), taskonomy=True)
    (folder / 'trust.py').write_text(TRUST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_TASKONOMY', str(folder / 'rooms'))
        train(folder / 'trust.py', work_dir=folder / 'work', options=OPTIONS)
        yield folder


def test_a_result_says_whom_it_trusts(place):
    infer = MangoInferencer(str(place / 'trust.py'), str(place / 'work'), device='cpu')
    rooms = place / 'rooms'
    sample = {m: str(next(rooms.glob(f'{m}/*_domain_{m}.png'))) for m in ('rgb', 'edge_occlusion')}
    result = infer(sample)
    assert set(result['trust']) == {'rgb', 'edge_occlusion'}
    assert all(0 <= value <= 1 for value in result['trust'].values())
    assert result['trust_map']['rgb'].shape == (2, 3)
    assert result['alarm'] in (True, False)
    assert result['image'].shape == (96, 128, 1)


def test_the_prediction_is_the_mixture_that_the_states_ask_for(place):
    check = TranslationFailures(place / 'trust.py', place / 'work', OPTIONS)
    model = check.model
    torch.manual_seed(0)
    inputs = {'rgb': torch.rand(3, 3, 96, 128), 'edge_occlusion': torch.rand(3, 1, 96, 128)}
    pyramids = model.generator.encode(inputs)
    images, _, _ = model.generator.decode(pyramids, (96, 128))
    mixed, trust = model.combined(pyramids, images)
    assert list(images) == ['rgb', 'edge_occlusion', 'fused']
    works = torch.eye(4)[:1].expand(3, -1)
    states = torch.where(trust.alarm[:, None], trust.states, works)
    weights = model.ensemble.weights(states)
    by_hand = sum(w[:, None, None, None] * x for w, x in zip(weights.T, images.values()))
    torch.testing.assert_close(mixed, by_hand)
    torch.testing.assert_close(model(inputs), mixed)


def test_failing_sources_by_protocol_and_rule(place):
    check = TranslationFailures(place / 'trust.py', place / 'work', OPTIONS)
    conditions = check.conditions(['emm', 'rmm', 'nm', 'kinds'])
    lines = {(x['name'], x['rule']): x for x in check.run(conditions)}
    assert len({name for name, _ in lines}) == 1 + 2 + 9 + 3 + 2
    clean, rgb = lines['clean', 'rgb']['metrics'], lines['no edge_occlusion', 'rgb']['metrics']
    assert clean == rgb  # who does not see the failure is as good as before
    told = lines['no rgb', 'told']['metrics']['MAE']
    assert told == pytest.approx(lines['no rgb', 'edge_occlusion']['metrics']['MAE'])
    assert lines['rgb_frozen', 'rgb']['metrics'] != clean
    assert lines['edge_occlusion_frozen', 'rgb']['metrics'] == clean
    assert 0 <= lines['rgb_frozen', 'trust']['auroc'] <= 1
    with pytest.raises(ValueError, match=r"got \['rgb_rain'\]"):
        check.conditions(['kinds'], ['rgb_rain'])
    with pytest.raises(ValueError, match=r"protocols of sources are .* got \['absent'\]"):
        check.conditions(['absent'])
    with pytest.raises(TypeError, match='got a MultimodalTranslator'):
        SensorFailures(place / 'trust.py', place / 'work', OPTIONS)


def test_the_tool_writes_the_table(place, tmp_path):
    done = run_on(
        place / 'rooms', ROOT / 'tools/analyse/robustness.py', place / 'trust.py', place / 'work',
        '--out', tmp_path, '--protocol', 'emm', 'kinds', '--cfg-options',
        *[o for o in SHORT if 'train' not in o],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    table = (tmp_path / 'table.md').read_text()
    assert '| no rgb |' in table
    assert '| alarm | raised, % |' in table
    assert 'ECE' not in table
    lines = json.loads((tmp_path / 'failures.json').read_text())
    assert {x['rule'] for x in lines} >= {'trust', 'mean', 'fused', 'rgb', 'edge_occlusion', 'told'}
    assert (tmp_path / 'failures.png').stat().st_size > 5000


def test_what_cannot_be_is_named(place):
    from mmengine.config import Config

    from mango_mm.registry import MODELS

    model = Config.fromfile(str(BASE)).model
    for wrong, said in (
        ({'combine': 'best'}, "one of \\('mean', 'trust'\\)"),
        ({'trust': {'grid': (2, 3)}}, "with combine='trust' trust"),
        ({'heads': 2}, "got {'heads': 2}"),
    ):
        with pytest.raises(ValueError, match=said):
            MODELS.build({**model, 'unimodal_decoders': wrong})
