"""Comparisons: resumable, and a table whose numbers can be checked by hand."""

import importlib.util
import json

import pytest
import yaml
from rooms import MANGO, ROOT, SHORT, iterations, make_rooms, run

from mango_mm.comparison.compare import Run, compare, render_table
from mango_mm.comparison.suite import Suite


def test_the_table_gives_mean_and_standard_deviation():
    lines = [
        {'name': 'a', 'seed': s, 'seconds': 10.0, 'mIoU': m, 'aAcc': 1.0, 'mAcc': 2.0}
        for s, m in enumerate((1.0, 2.0, 6.0))
    ]
    lines.append({'name': 'b', 'seed': 0, 'seconds': 5.4, 'MAE': 0.12345})
    header, _, *rows = render_table(lines, ['a', 'absent', 'b']).splitlines()
    assert header == '| fusion | seeds | pixel acc | mean acc | mIoU | MAE | s per run |'
    # mean 3, variance ((2^2) + 1 + 9) / 2 = 7
    assert rows == [
        '| a | 3 | 1.00 ± 0.00 | 2.00 ± 0.00 | 3.00 ± 2.65 | - | 10 |',
        '| b | 1 | - | - | - | 0.1235 | 5 |',
    ]


@pytest.mark.slow
def test_what_has_been_run_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    options = (*SHORT, *iterations(2, 2))
    first = compare([Run('mango', str(MANGO))], [0], tmp_path / 'out', options=options)
    assert [(line['name'], line['seed']) for line in first] == [('mango', 0)]
    assert 0 <= first[0]['mIoU'] <= 100
    assert first[0]['nll_per_dim'] > 0
    capsys.readouterr()
    assert compare([Run('mango', str(MANGO))], [0], tmp_path / 'out', options=options) == first
    assert capsys.readouterr().out == ''


def test_a_training_that_fails_names_its_log(tmp_path):
    with pytest.raises(RuntimeError, match=r'bad, seed 3: training failed; see .*stdout\.txt'):
        compare([Run('bad', 'no_such_config.py')], [3], tmp_path)


def a_line(**changes):
    return {'name': 'a', 'config': 'x/a.py', 'seed': 0, 'options': ['k=1'], 'seconds': 1.0,
            'mIoU': 1.0, **changes}  # fmt: skip


def test_a_result_of_other_options_is_not_taken_for_this_one(tmp_path):
    (tmp_path / 'results.jsonl').write_text(json.dumps(a_line()) + '\n')
    assert compare([Run('a', 'y/a.py', ('k=1',))], [0], tmp_path) == [a_line()]
    assert compare([Run('a', 'y/a.py')], [0], tmp_path, options=['k=1']) == [a_line()]
    for other in (Run('a', 'x/a.py', ('k=2',)), Run('a', 'x/b.py', ('k=1',))):
        with pytest.raises(ValueError, match="has a result of 'a', seed 0, with another config"):
            compare([other], [0], tmp_path)
    with pytest.raises(ValueError, match=r"b comes after \['a'\], which must be listed before"):
        compare([Run('b', 'b.py', after=('a',)), Run('a', 'a.py')], [0], tmp_path / 'new')
    with pytest.raises(ValueError, match="two runs are named 'a'"):
        compare([Run('a', 'a.py'), Run('a', 'b.py')], [0], tmp_path / 'new')


def test_only_what_was_asked_for_comes_back_and_of_one_kind(tmp_path):
    lines = [a_line(), a_line(seed=1), a_line(name='b', test_best=False)]
    (tmp_path / 'results.jsonl').write_text(''.join(json.dumps(x) + '\n' for x in lines))
    run_a, run_b = Run('a', 'x/a.py', ('k=1',)), Run('b', 'x/a.py', ('k=1',))
    assert compare([run_a], [0], tmp_path) == lines[:1]
    assert compare([run_a], [1], tmp_path, test_best=True) == lines[1:2]  # of a version before
    assert compare([run_b], [0], tmp_path) == lines[2:]
    with pytest.raises(ValueError, match="'b', seed 0, that is the last validation: with test_be"):
        compare([run_b], [0], tmp_path, test_best=True)
    tested = json.dumps(a_line(name='c', test_best=True))
    (tmp_path / 'results.jsonl').write_text(tested + '\n')
    with pytest.raises(ValueError, match="'c', seed 0, that is a test of the best checkpoint"):
        compare([Run('c', 'x/a.py', ('k=1',))], [0], tmp_path)


def test_costs_are_those_of_a_rows_own_model_and_measured_again_for_another(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('tool', ROOT / 'tools/benchmark/compare.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    teacher = Run('t', 'x/t.py', reports=False)
    row = Run(
        'a', 'x/a.py',
        ('model.use=[text]', 'model.t={t}/latest', 'model.c=of{seed}.pth'),
        after=('t',),
    )  # fmt: skip
    shared = ['model.dim=512', 'train_cfg.max_iters=3', 'model.w=of{seed}.pth']
    wanted = {'model.use': ['text'], 'model.dim': 512}
    assert tool.own_options(row, shared) == wanted
    asked = []

    def count(rows):
        asked.append(rows)
        return {name: {'params': len(asked)} for name in rows}

    monkeypatch.setattr(tool, 'measure_costs', count)
    suite = Suite('Tiny', (teacher, row))
    first = tool.costs_of(suite, tmp_path, shared)
    assert asked == [{'a': ('x/a.py', wanted)}]
    assert tool.costs_of(suite, tmp_path, shared) == first
    assert tool.costs_of(suite, tmp_path, ['model.dim=64'])['a']['params'] == 2
    other = Suite('Tiny', (teacher, Run('a', 'x/b.py', row.options, ('t',))))
    assert tool.costs_of(other, tmp_path, ['model.dim=64'])['a']['params'] == 3


def test_costs_are_columns_and_a_pretraining_is_no_row():
    lines = [a_line(), {'name': 'pretraining', 'seed': 0, 'seconds': 2.0}]
    costs = {'a': {'params': 1.5, 'gflops': 0.25, 'latency_ms': 3.0, 'train_mib': 40.0}}
    header, _, *rows = render_table(lines, ['pretraining', 'a'], costs).splitlines()
    assert header == (
        '| fusion | seeds | mIoU | params (M) | GFLOPs | latency (ms) | training memory (MiB) '
        '| s per run |'
    )
    assert rows == ['| a | 1 | 1.00 | 1.500 | 0.250 | 3.0 | 40 | 1 |']


@pytest.mark.slow
def test_a_suite_runs_teachers_first_and_a_second_time_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    stem = 'small_1xb8-600it_mini-rooms-72x96.py'
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(1, 1)])
    suite = {
        'title': 'Tiny',
        'options': pairs,
        'needs': {
            str(tmp_path / 'rooms'): 'false',
            str(tmp_path / 'of {seed}'): f'mkdir "{tmp_path}/of {{seed}}"',
        },
        'runs': [
            {'name': 'RGB only', 'config': f'configs/unimodal/rgb_{stem}'},
            {'name': 'UMT', 'config': f'configs/umt/umt_{stem}', 'after': ['RGB only'],
             'options': {'model.teachers.rgb.checkpoint': '{RGB only}/latest'}},
        ],
    }  # fmt: skip
    # The teacher of depth is left out by a config of its own.
    config = tmp_path / f'umt_{stem}'
    config.write_text(
        f"_base_ = '{ROOT}/configs/umt/umt_{stem}'\n"
        f"model = dict(teachers=dict(_delete_=True, rgb=dict(config='configs/unimodal/rgb_{stem}', "
        "checkpoint='none')))\n"
    )
    suite['runs'][1].update(config=str(config))
    (tmp_path / 'tiny.yml').write_text(yaml.safe_dump(suite))
    command = ['tools/benchmark/compare.py', tmp_path / 'tiny.yml', '--out', tmp_path / 'out']
    first = run(tmp_path / 'rooms', *command, '--jobs', 2, cwd=ROOT)
    assert first.returncode == 0, first.stderr[-2000:]
    assert (tmp_path / 'of 0').is_dir()
    order = [line for line in first.stdout.splitlines() if line.startswith('[')]
    assert [line.split(',')[0] for line in order] == ['[1/2] RGB only', '[2/2] UMT']
    for name in ('table.md', 'comparison.png', 'curves.png', 'costs.json', 'results.jsonl'):
        assert (tmp_path / 'out' / name).stat().st_size > 100, name
    costs = json.loads((tmp_path / 'out/costs.json').read_text())
    assert costs['UMT']['params'] > costs['RGB only']['params'] > 0.1
    stamps = {p: p.stat().st_mtime for p in (tmp_path / 'out').rglob('*.pth')}
    second = run(tmp_path / 'rooms', *command, cwd=ROOT)
    assert second.returncode == 0, second.stderr[-2000:]
    assert not [line for line in second.stdout.splitlines() if line.startswith('[')]
    assert stamps == {p: p.stat().st_mtime for p in (tmp_path / 'out').rglob('*.pth')}
    table = [line for line in first.stdout.splitlines() if line.startswith('|')]
    assert table == [line for line in second.stdout.splitlines() if line.startswith('|')]


def test_a_failing_run_stops_what_comes_after_it_only(tmp_path, capsys):
    runs = [Run('bad', 'no_such_config.py'), Run('student', 'none.py', after=('bad',))]
    with pytest.raises(RuntimeError) as caught:
        compare(runs, [0], tmp_path)
    first, second = str(caught.value).splitlines()
    assert first.startswith('bad, seed 0: training failed; see ')
    assert second == 'student, seed 0: left out, because bad failed'
    assert capsys.readouterr().out.startswith('FAILED bad, seed 0')
    assert not (tmp_path / 'student').exists()


@pytest.mark.slow
def test_a_pretraining_without_validation_and_a_paired_baseline_run(tmp_path):
    configs = ROOT / 'configs'
    rooms, out = make_rooms(tmp_path / 'rooms'), tmp_path / 'out'
    pretraining = configs / 'umurl/umurl_small_1xb8-600it_mini-rooms-72x96.py'
    concat = configs / 'concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
    options = dict(o.split('=', 1) for o in (*SHORT, *iterations(2, 2)))
    suite = tmp_path / 'paired.yml'
    suite.write_text(
        yaml.safe_dump(
            {
                'title': 'a test',
                'baseline': 'concat',
                'options': options,
                'runs': [
                    {'name': 'pretraining', 'config': str(pretraining), 'reports': False},
                    {'name': 'concat', 'config': str(concat)},
                    {
                        'name': 'attention',
                        'config': str(concat),
                        'options': {
                            'model.neck.fusion.type': 'CrossAttentionFusion',
                            'model.neck.fusion.num_heads': 2,
                        },
                    },
                ],
            }
        )
    )
    tool = ROOT / 'tools/benchmark/compare.py'
    done = run(rooms, tool, suite, '--out', out, '--seeds', '0', '1', cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = json.loads((out / 'differences.json').read_text()).items()
    assert found[0] == 'attention'
    assert found[1]['seeds'] == 2
    assert found[1]['low'] <= found[1]['mean'] <= found[1]['high']
    lines = [json.loads(x) for x in (out / 'results.jsonl').read_text().splitlines()]
    scores = {n: [x['mIoU'] for x in lines if x['name'] == n] for n in ('concat', 'attention')}
    mean = sum(scores['attention']) / 2 - sum(scores['concat']) / 2
    assert found[1]['mean'] == pytest.approx(mean, abs=0.011)
    assert 'difference to concat [95 %]' in done.stdout
    assert (out / 'differences.png').stat().st_size > 5000
    costs = json.loads((out / 'costs.json').read_text())
    assert costs['attention']['params'] > costs['concat']['params']  # of the row, not its config
