"""Suites: what a file may say, and that those that come along say something that exists."""

from pathlib import Path

import pytest
import yaml
from rooms import ROOT

from mango_mm.apis import load_config
from mango_mm.apis.dict_action import parse_value
from mango_mm.comparison.columns import METRICS
from mango_mm.comparison.compare import _check, _filled
from mango_mm.comparison.cost import measure_costs
from mango_mm.comparison.suite import Suite, load_suite
from mango_mm.visualization import draw_comparison

SUITES = sorted((ROOT / 'tools/benchmark/suites').glob('*.yml'))
CONFIG = 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_these_suites_come_along():
    assert {p.stem for p in SUITES} == {
        'ablations', 'mini', 'missing', 'movies', 'movies-frozen', 'nyuv2', 'nyuv2-finetune',
        'nyuv2-frozen', 'sequences',
    }  # fmt: skip


@pytest.mark.parametrize('path', SUITES, ids=[p.stem for p in SUITES])
def test_every_run_of_a_suite_is_a_config_that_takes_its_options(path):
    suite = load_suite(path)
    _check(suite.runs, [], suite.options)  # nothing comes before what it needs
    assert suite.headline in METRICS
    iterations = set()
    for run in suite.runs:
        plain = [o.split('=', 1) for o in suite.options if not o.startswith(('val_', 'test_'))]
        given = {k: parse_value(v) for k, v in plain}  # as the tool does
        config = load_config(run.config, options=given, new_keys=False)
        iterations.add(int(config.train_cfg.max_iters))
        before = load_config(run.config).to_dict()
        own = [o for o in run.options if '{' not in o]
        load_config(
            run.config,
            options={k: parse_value(v) for k, v in (o.split('=', 1) for o in own)},
            new_keys=False,
        )
        for option in set(run.options) - set(own):
            node = before
            for key in option.split('=')[0].split('.'):  # it exists, and is not made anew
                node = node[int(key)] if isinstance(node, list) else node[key]
            assert node is not None
        if not run.reports:
            assert config.val_cfg is None
    assert len(iterations) == 1  # one budget
    end = next(iter(iterations))
    pretrained = [o for run in suite.runs for o in run.options if 'iter_' in o]
    assert all(o.endswith(f'/iter_{end}.pth') for o in pretrained)


def test_what_is_needed_is_made_for_every_seed_in_order():
    needs = {'weights': 'fetch it', 'a b/seed{seed}': 'python make.py --only "a b" --seed {seed}'}
    made = Suite('x', (), needs=needs).needed([0, 3])
    assert made == [
        (Path('weights'), ['fetch', 'it']),
        (Path('a b/seed0'), ['python', 'make.py', '--only', 'a b', '--seed', '0']),
        (Path('a b/seed3'), ['python', 'make.py', '--only', 'a b', '--seed', '3']),
    ]


def test_the_frozen_bench_reads_the_encoders_of_its_seed():
    suite = load_suite(ROOT / 'tools/benchmark/suites/nyuv2-frozen.yml')
    made = {str(path) for path, _ in suite.needed([0, 4])}
    finetuned = {
        run.name for run in load_suite(ROOT / 'tools/benchmark/suites/nyuv2-finetune.yml').runs
    }
    read = [_filled(o, (), Path('out'), 4).partition('=')[2] for o in suite.options]
    assert len(read) == 3
    assert set(read) <= made
    trained = {Path(path).parts[2] for path in read if path.endswith('.pth')}
    assert trained == {'RGB only', 'depth only'} <= finetuned


def test_all_fusions_and_algorithms_are_in_the_mini_suite():
    names = {run.name for run in load_suite(ROOT / 'tools/benchmark/suites/mini.yml').runs}
    seeds = {'DEQ-Fusion', 'U3M', 'MLA', 'UMT', 'UME', 'MCMulT', 'MIND', 'UmURL, then concat'}
    assert seeds <= names


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(budget=3), ValueError, r"unknown keys \['budget'\]"),
        (dict(title=None), ValueError, r"missing keys \['title'\]"),
        (dict(runs=[dict(name='a')]), ValueError, r'run 1: unknown keys \[\], missing keys'),
        (dict(runs=['a']), ValueError, "run 1 must hold keys and values; got 'a'"),
        (dict(runs=[dict(name='a', config='no.py')]), FileNotFoundError, 'run 1: config no.py'),
    ],
)
def test_a_suite_that_makes_no_sense_is_named(tmp_path, change, error, message):
    given = {'title': 'x', 'runs': [dict(name='a', config=CONFIG)], **change}
    path = tmp_path / 'suite.yml'
    path.write_text(yaml.safe_dump({k: v for k, v in given.items() if v is not None}))
    with pytest.raises(error, match=message):
        load_suite(path)
    path.write_text('- a\n')
    with pytest.raises(ValueError, match='must hold keys and values; got list'):
        load_suite(path)
    with pytest.raises(FileNotFoundError, match='gone.yml does not exist'):
        load_suite(Path('gone.yml'))


def test_costs_equal_what_can_be_counted_by_hand(tmp_path, monkeypatch):
    from rooms import make_rooms

    from mango_mm.registry import MODELS

    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    small = {'model.decode_head.channels': 32}
    costs = measure_costs({'a': (CONFIG, {}), 'b': (CONFIG, small)}, rounds=2)
    model = MODELS.build(load_config(CONFIG).model)
    count = sum(p.numel() for p in model.parameters())
    assert costs['a']['params'] == pytest.approx(count / 1e6)
    # What halving the head's channels takes away, at stride 4 of 72 x 96: two 1 x 1
    # convolutions in, one that joins both, one to 10 classes; two operations a product.
    positions, coarse = 18 * 24, 9 * 12

    def head(c):
        return 2 * (positions * (32 * c + 2 * c * c + c * 10) + coarse * 64 * c)

    less = (costs['a']['gflops'] - costs['b']['gflops']) * 1e9
    assert less == pytest.approx(head(64) - head(32), rel=1e-6)
    assert costs['a']['train_mib'] > costs['b']['train_mib'] > 1
    assert costs['a']['latency_ms'] > 0


def test_the_plot_shows_one_row_per_model(tmp_path):
    draw_comparison({'a': [1.0, 2.0, 4.0], 'b': [3.0]}, tmp_path / 'p.png', xlabel='mIoU')
    assert (tmp_path / 'p.png').stat().st_size > 5000
    with pytest.raises(ValueError, match='at least one model'):
        draw_comparison({}, tmp_path / 'q.png', xlabel='mIoU')
