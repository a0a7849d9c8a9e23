"""README and docs stay true: their code runs, their files exist, their numbers have a source."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rooms import SHORT, environment, iterations, make_rooms

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'README.md').read_text()
PAGES = sorted([*(ROOT / 'docs').glob('*.md'), ROOT / 'CONTRIBUTING.md', ROOT / 'README.md'])
SHOWN = {
    'index',
    'configs',
    'configs_mango',
    'configs_ablations',
    'contributing',
    'changelog',
    'security',
}  # pages of the site that only show another file


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.DOTALL)


def test_the_fusion_example_runs():
    (code,) = [b for b in blocks('python') if 'MangoFusion(' in b]
    scope = {}
    exec(code, scope)
    for name, x in scope['features'].items():
        torch.testing.assert_close(scope['again'][name], x, rtol=1e-4, atol=1e-4)
    assert scope['out'].log_prob.shape == (8,)


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 120


@pytest.mark.slow
def test_the_config_example_trains_tests_and_predicts(tmp_path):
    (code,) = [b for b in blocks('python') if 'FusionNeck' in b]
    path = tmp_path / 'my_config.py'
    path.write_text(code.replace("'configs/_base_", f"'{ROOT}/configs/_base_"))
    rooms = make_rooms(tmp_path / 'rooms')
    env = environment(rooms)
    short = ['--cfg-options', *SHORT, *iterations(2, 2)]
    work, panels = str(tmp_path / 'work'), tmp_path / 'panels'
    run(['tools/train.py', path, '--work-dir', work, *short], env)
    run(['tools/test.py', path, f'{work}/latest', '--show-dir', panels, *short], env)
    assert list(panels.glob('*.png'))
    rgb = next(p for p in rooms.rglob('*.*') if p.parent.name == 'rgb')
    depth = next(p for p in rooms.rglob('*.*') if p.parent.name == 'depth')
    said = run(['tools/infer.py', path, work, '--input', f'rgb={rgb}', f'depth={depth}'], env)
    assert 'nll_per_dim' in said


def run(command, env):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        capture_output=True, text=True, check=False, cwd=ROOT, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_path_it_names_exists():
    named = set(re.findall(r'`((?:mango_mm|configs|tools|tests)/[\w/.-]*)`', TEXT))
    named |= set(re.findall(r'(?:python |^)(tools/[\w/.]+)', TEXT, re.MULTILINE))
    named |= set(re.findall(r'\]\(((?!http)[\w/.-]+)\)', TEXT))
    named |= set(re.findall(r'configs/mango/[\w.-]+\.py', TEXT))
    assert len(named) > 12
    assert [n for n in sorted(named) if not (ROOT / n).exists()] == []


def test_the_make_targets_it_names_exist():
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'make ([\w-]+)', ' '.join(blocks('bash'))))
    targets |= set(re.findall(r'`make ([\w-]+)`', TEXT))
    assert targets == {
        'demo', 'demo-core', 'demo-imdb', 'demo-translation', 'demo-trust', 'docs', 'test',
        'test-slow', 'web',
    }  # fmt: skip
    assert all(f'\n{target}:' in makefile for target in targets)


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_links_and_paths_of_the_pages_exist(page):
    text = page.read_text()
    linked = re.findall(r'\]\(((?!http)[\w/.-]+)(?:#[\w-]+)?\)', text)
    named = re.findall(r'`((?:mango_mm|configs|tools|tests|docs)/[\w/.-]*\w)`', text)
    assert [n for n in linked if not (page.parent / n).exists()] == []
    # Paths in tables leave out the package.
    short = re.findall(r'`((?:[a-z_]+/)+[\w]+\.py)`', text)
    roots = (ROOT, ROOT / 'mango_mm', ROOT / 'tools')
    assert [n for n in short if not any((root / n).exists() for root in roots)] == []
    assert [n for n in named if not (ROOT / n).exists()] == []


def test_all_pages_were_found():
    assert len(PAGES) == 18 + 4 + len(SHOWN)


def test_the_rows_of_the_paper_are_those_that_the_configs_quote(tmp_path):
    page = (ROOT / 'docs/paper.md').read_text()
    spec = importlib.util.spec_from_file_location('rows', ROOT / 'tools/docs/paper_rows.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.render()
    assert rows.count('](../configs/') == 47  # change together with configs/
    assert rows in page, 'run tools/docs/paper_rows.py'


def test_the_picture_of_the_architecture_is_that_of_the_imports():
    run(['tools/docs/architecture.py', '--check'], {**os.environ, 'PYTHONPATH': str(ROOT)})


def test_a_newcomers_questions_have_an_answer_that_exists():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    table = text[text.index('## Where is') : text.index('## Add a bijection')]
    rows = [line for line in table.splitlines() if line.startswith('| ') and '`' in line]
    assert len(rows) == 12
    for row in rows:
        paths = re.findall(r'`([\w/.-]+)`', row)
        assert paths, row
        assert all((ROOT / p).exists() for p in paths), row
    headings = {h.lower().replace(' ', '-') for h in re.findall(r'^## (.+)$', text, re.MULTILINE)}
    assert {a for a in re.findall(r'\(#([\w-]+)\)', table)} <= headings


def test_the_pipeline_example_of_the_questions_builds():
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope

    text = (ROOT / 'docs/faq.md').read_text()
    found = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    (code,) = [b for b in found if 'pipeline = [' in b]
    scope = {}
    exec(code, scope)
    init_default_scope('mmseg')
    assert len(Compose(scope['pipeline']).transforms) == 8


def test_the_table_of_speed_is_that_of_the_committed_benchmark():
    text_of_speed = (ROOT / 'docs/performance.md').read_text()
    content = json.loads((ROOT / 'docs/benchmarks/ica.json').read_text())
    lines = {(x['work'], x['n'], x['name']): x for x in content['lines'] if x['dim'] == 64}
    rows = re.findall(
        r'^\| (\d+) \| ([\d.]+) x \| (.+?) \| ([\d.]+) x \| (.+?) \|', text_of_speed, re.MULTILINE
    )
    assert [int(row[0]) for row in rows] == [256, 1024, 4096, 16384]
    for n, train, naive, inverse, pinv in rows:
        n = int(n)
        for work, name, text in (
            ('forward + backward', 'auto', train), ('forward + backward', 'naive', naive),
            ('inverse', 'auto', inverse), ('inverse', 'naive', pinv),
        ):  # fmt: skip
            if text == '-':
                assert (work, n, name) not in lines
                continue
            text = text.removesuffix(' x')
            digits = len(text.split('.')[1])
            assert f'{lines[work, n, name]["ratio"][1]:.{digits}f}' == text, (n, work, name)
