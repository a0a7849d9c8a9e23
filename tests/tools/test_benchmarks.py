"""The benchmarks run as their help says and write a table, JSON and a plot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from mango_mm.benchmarking.measuring import Spread

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
QUICK = ('--rounds', '1', '--seconds', '0')
SMALL_CONFIGS = {
    'RGB': 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py',
    'MANGO': 'configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py',
}


def run(tool, *arguments, out):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / f'tools/benchmark/{tool}.py', '--out', out,
         *QUICK, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path):
    content = json.loads(path.read_text())
    machines = [content['machine']] if 'machine' in content else [*content['machines'].values()]
    assert all(machine['matmul_gflops'] > 0 for machine in machines)
    assert machines
    return content['lines']


def test_ica(tmp_path):
    printed = run('ica', '--sizes', 16, 32, '--dims', 8, out=tmp_path)
    lines = read(tmp_path / 'ica.json')
    assert {line['name'] for line in lines} == {'SDPA', 'auto', 'chunked', 'dense', 'naive'}
    assert {line['work'] for line in lines} == {'forward', 'forward + backward', 'inverse'}
    assert {line['n'] for line in lines} == {16, 32}
    for line in lines:
        assert line['ms'] > 0
        assert line['gflops'] > 0
        assert line['name'] != 'SDPA' or line['ratio'] == [1, 1, 1]
    auto = next(x for x in lines if (x['work'], x['n'], x['name']) == ('inverse', 32, 'auto'))
    assert f'{Spread(auto["ratio"])}' in printed
    assert printed.endswith((tmp_path / 'ica.md').read_text() + '\n')
    with Image.open(tmp_path / 'ica_d8.png') as picture:
        assert picture.width > 800


def test_flow(tmp_path):
    run('flow', '--depths', 1, 2, '--parts-at', 1, '--tokens', 12, '--dim', 8, out=tmp_path)
    lines = read(tmp_path / 'flow.json')
    assert [line['depth'] for line in lines] == [1] * 6 + [2] * 3
    mango = [line for line in lines if line['name'] == 'MANGO']
    assert all(0 < line['round_trip_error'] < 1e-5 for line in mango)
    assert mango[1]['parameters'] > 1.9 * mango[0]['parameters']
    names = {line['name']: line for line in lines if line['depth'] == 2}
    assert names['MANGO, with_cp']['gflops'] > names['MANGO']['gflops']
    assert (tmp_path / 'flow.png').is_file()


def test_fusion(tmp_path):
    run('fusion', '--grid', 3, 4, '--dim', 8, out=tmp_path)
    from mango_mm import fusion

    lines = read(tmp_path / 'fusion.json')
    classes = {line['name'].split(',')[0] for line in lines}
    exported = {
        name
        for name in fusion.__all__
        if isinstance(getattr(fusion, name), type)
        and issubclass(getattr(fusion, name), fusion.Fusion)
    } - {'Fusion'}
    assert classes == exported
    assert (tmp_path / 'fusion.png').is_file()


def test_train_step(tmp_path):
    runs = [part for name, c in SMALL_CONFIGS.items() for part in ('--run', f'{name}={c}')]
    run('train_step', '--batch', 2, '--name', 'quick', *runs, out=tmp_path)
    rgb, mango = read(tmp_path / 'quick.json')
    assert (rgb['name'], mango['name']) == ('RGB', 'MANGO')
    assert mango['parameters'] > rgb['parameters']
    assert mango['gflops'] > rgb['gflops'] > 0
    assert (tmp_path / 'quick.png').is_file()


def test_zoo_measures_every_config_once_and_goes_on_after_one_that_fails(tmp_path):
    words = ['--batch', 2, '--precision', 'fp32', 'amp', '--configs',
             'configs/concat/concat_small*mini-rooms-72x96.py']  # fmt: skip
    run('zoo', *words, out=tmp_path)
    lines = read(tmp_path / 'zoo.json')
    assert [(x['precision'], x['batch']) for x in lines] == [('amp', 2), ('fp32', 2)]
    assert all(x['images_per_s'] > 0 and x['train_mib'] > 0 for x in lines)
    assert lines[1]['gflops'] > 0
    before = (tmp_path / 'zoo.json').stat().st_mtime_ns
    run('zoo', *words, out=tmp_path)  # nothing is measured again
    assert (tmp_path / 'zoo.json').stat().st_mtime_ns == before
    content = json.loads((tmp_path / 'zoo.json').read_text())
    for line in content['lines']:
        line['machine'] = 'another'
    content['machines'] = {'another': next(iter(content['machines'].values()))}
    (tmp_path / 'zoo.json').write_text(json.dumps(content))
    run('zoo', *words, out=tmp_path)  # a row of another machine says nothing of this one
    lines = read(tmp_path / 'zoo.json')
    assert len(lines) == 4
    assert (tmp_path / 'zoo.md').read_text().count('| config |') == 2
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/benchmark/zoo.py', '--out', tmp_path, '--rounds', '1',
         '--seconds', '0', '--configs', 'configs/concat/concat_small*mini-movies*.py'],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode != 0
    assert 'is not of a segmentor of images' in (tmp_path / 'zoo.md').read_text()
    assert len(read(tmp_path / 'zoo.json')) == 5


@pytest.mark.slow
def test_gpu_report_runs_every_step_and_says_which_failed(tmp_path):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'tools/benchmark/gpu_report.py', '--out', tmp_path,
         '--device', 'cpu', '--quick', '--only', 'tests on the device', 'costs of configs',
         'a training with amp'], capture_output=True, text=True, check=False,
    )  # fmt: skip
    page = (tmp_path / 'gpu.md').read_text()
    assert done.returncode == 0, page
    assert page.count('| passed |') == 3
    assert 'mIoU' in page
    assert '| `concat_small_1xb8-600it_mini-rooms-72x96` | cpu | amp |' in page


def test_gpu_report_without_a_gpu_says_so(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('there is one')
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/benchmark/gpu_report.py', '--out', tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'needs a GPU that torch can use' in done.stderr


def test_a_config_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/benchmark/train_step.py', '--out', tmp_path,
         '--run', 'x=nowhere.py'], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "--run must be NAME=CONFIG of a file; got 'x=nowhere.py'" in done.stderr


# ---- what is committed ----


def test_the_table_of_configs_is_that_of_the_committed_numbers():
    folder = ROOT / 'docs/benchmarks'
    lines = json.loads((folder / 'zoo.json').read_text())['lines']
    rows = (folder / 'zoo.md').read_text().splitlines()
    measured = {line['config'] for line in lines if 'error' not in line}
    assert measured == {p.stem for p in ROOT.glob('configs/*/*mini-rooms-72x96.py')}
    for line in lines:
        assert line['machine'] in rows
        (row,) = [
            r for r in rows if r.startswith(f'| `{line["config"]}` | cpu | {line["precision"]} |')
        ]
        cells = [c.strip() for c in row.split('|')[4:-1]]
        assert cells[0] == f'{line["parameters"] / 1e6:.2f} M'
        numbers = (line['train_images_per_s'], line['images_per_s'], line['train_mib'])
        assert [float(c) for c in cells[2:]] == pytest.approx(numbers, rel=0.02)


@pytest.mark.parametrize(
    'name',
    [
        'ica',
        'flow',
        'fusion',
        'train_step_small',
        'train_step_vit',
        'trust_small',
        'trust_lite0',
    ],
)
def test_committed_tables_are_those_of_the_committed_numbers(name):
    folder = ROOT / 'docs/benchmarks'
    content = json.loads((folder / f'{name}.json').read_text())
    table = (folder / f'{name}.md').read_text()
    assert content['machine']['device'] in table
    for line in content['lines']:
        if line['name'] not in ('SDPA', 'attention'):
            assert str(Spread(line['ratio'])) in table, line
