"""Checks of several seeds averaged: numbers against scipy, and what cannot be averaged."""

import copy
import json

import numpy as np
import pytest
from rooms import ROOT, run
from scipy.stats import ttest_rel

from mango_mm.analysis.failure_seeds import mean_lines, read_failures, render_differences
from mango_mm.analysis.failure_tables import _expectations
from mango_mm.evaluation.functional.failures import failures_of

TOOL = ROOT / 'tools/analyse/average_failures.py'
RULES = {'trust': 50.0, 'mean': 40.0, 'fused': 45.0}
NAMES = {'clean': 'clean', 'rgb_noise:3': 'kinds', 'depth_frozen:3': 'kinds', 'no rgb': 'emm'}


def lines_of(seed):
    """As robustness.py writes them, with scores of a seed."""
    rng = np.random.default_rng(seed)
    found = []
    for name, protocol in NAMES.items():
        for rule, level in RULES.items():
            line = {
                'model': 'MANGO', 'name': name, 'protocol': protocol, 'broken': [], 'severity': 3,
                'seen': True, 'rule': rule, 'metrics': {'mIoU': level + rng.normal()},
                'ece': rng.uniform(), 'classwise_ece': 0.1, 'aurc': 0.2, 'accuracy_at_90': 0.8,
            }  # fmt: skip
            if rule == 'trust':
                line |= {'alarms': 0.02 * seed, 'trust': {'rgb': rng.uniform(), 'depth': 0.5}}
                line |= {'states': {'ok': 0.5}} | ({} if name == 'clean' else {'auroc': 0.9})
            found.append(line)
    return found


@pytest.fixture
def runs(tmp_path):
    for seed in range(4):
        (tmp_path / f's{seed}').mkdir()
        (tmp_path / f's{seed}/failures.json').write_text(json.dumps(lines_of(seed)))
    return [tmp_path / f's{seed}' for seed in range(4)]


def scores(runs, rule, names):
    return [
        np.mean([x['metrics']['mIoU'] for x in r if x['rule'] == rule and x['name'] in names])
        for r in runs
    ]


def test_means_and_intervals_are_those_of_scipy(runs):
    found = [read_failures(path) for path in runs]
    means = {(x['name'], x['rule']): x for x in mean_lines(found)}
    assert len(means) == 12
    for name in NAMES:
        cell = means[name, 'trust']
        assert cell['metrics']['mIoU'] == pytest.approx(np.mean(scores(found, 'trust', [name])))
    assert means['clean', 'trust']['alarms'] == pytest.approx(0.03)
    assert means['clean', 'trust']['seen'] is True
    assert 'auroc' not in means['clean', 'trust']
    table = render_differences(found, 'trust')
    kinds = ['rgb_noise:3', 'depth_frozen:3']
    for rule in ('mean', 'fused'):
        (row,) = (x for x in table.splitlines() if x.startswith(f'| {rule} '))
        cells = [c.strip() for c in row.split('|')[2:-1]]
        for names, spread, interval in zip((['clean'], kinds, ['no rgb']), cells[:3], cells[3:]):
            a, b = scores(found, 'trust', names), scores(found, rule, names)
            low, high = ttest_rel(a, b).confidence_interval(0.95)
            assert interval == f'{np.mean(a) - np.mean(b):+.2f} [{low:+.2f}, {high:+.2f}]'
            assert spread == f'{np.mean(b):.2f} ± {np.std(b, ddof=1):.2f}'
    assert 'false alarms, %: 3.0 (0.0, 2.0, 4.0, 6.0)' in table


def test_one_seed_has_no_interval(runs):
    table = render_differences([read_failures(runs[0])], 'trust')
    assert ', one seed |' in table
    assert '±' not in table


def test_the_tool_writes_tables_lines_and_a_picture(runs, tmp_path):
    out = tmp_path / 'out'
    done = run('unused', TOOL, *runs, '--out', out, '--failures', 'rgb_noise:3', 'no rgb')
    assert done.returncode == 0, done.stderr[-2000:]
    table = (out / 'table.md').read_text()
    assert 'clean: trust - it' in table
    assert '| **mean of emm** |' in table
    assert 'depth_frozen' not in table
    lines = [json.loads(x) for x in (out / 'failures.jsonl').read_text().splitlines()]
    assert [x['run'] for x in lines] == [n for n in range(4) for _ in range(9)]
    assert len(json.loads((out / 'failures.json').read_text())) == 9
    assert (out / 'failures.png').stat().st_size > 5000


def test_what_cannot_be_averaged_is_named(runs, tmp_path):
    def said(*words):
        done = run('unused', TOOL, *words, '--out', tmp_path / 'out')
        assert done.returncode == 2, done.stdout
        assert 'Traceback' not in done.stderr
        return done.stderr

    assert 'robustness.py --protocol writes it' in said(tmp_path / 'none')
    (tmp_path / 'notes.json').write_text('{"a": 1}')
    assert 'notes.json is not what robustness.py' in said(tmp_path / 'notes.json')
    assert "got ['rain']" in said(runs[0], '--failures', 'rain')
    fewer = copy.deepcopy(lines_of(9))[:-1]
    (tmp_path / 'fewer.json').write_text(json.dumps(fewer))
    assert 'run 2 and the first differ' in said(runs[0], tmp_path / 'fewer.json')
    assert "got 'best'" in said(runs[0], '--rule', 'best')


@pytest.mark.parametrize('order', [('rgb', 'depth'), ('rgb', 'depth', 'thermal')])
def test_expectations_are_there_in_any_order_of_modalities(order):
    trust = dict.fromkeys(order, 1.0)
    one = {'protocol': 'emm', 'rule': 'trust', 'metrics': {'mIoU': 30.0}, 'trust': trust}
    clean = {**one, 'name': 'clean', 'protocol': 'clean', 'metrics': {'mIoU': 50.0}}
    lines = [clean, *({**one, 'name': f.name} for f in failures_of('emm', order))]
    found = _expectations(lines, [('', 'trust')], 'mIoU', len(order))
    # Given that one is left: all there with (1 - r)^M, over 1 - r^M.
    for rate, row in zip((0.05, 0.1, 0.2), found, strict=True):
        whole = (1 - rate) ** len(order) / (1 - rate ** len(order))
        assert float(row[1]) == pytest.approx(30 + 20 * whole, abs=0.006)
