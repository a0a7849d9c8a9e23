"""The documentation site and its notebooks: built without a warning, executed, commands known."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import PAGES as SHOWN
from commands import commands_of

pytest.importorskip('sphinx')
pytest.importorskip('nbclient')
pytest.importorskip('mmseg')

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / 'docs/notebooks').glob('*.ipynb'))
PAGES = sorted(p for p in (ROOT / 'docs').rglob('*.md') if '_build' not in p.parts)


def test_all_notebooks_and_pages_were_found():
    assert len(NOTEBOOKS) == 4
    assert len(PAGES) > 40


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'sphinx', '-b', 'html', '-q', '-W', '--keep-going',
         str(ROOT / 'docs'), str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_nobody(site):
    pages = sorted(site.rglob('*.html'))
    assert len(pages) > 60
    for page in pages:
        text = page.read_text(encoding='utf-8')
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]+)"', text)
        assert not loaded, f'{page}: {loaded}'
    for page in ('index', 'trust', 'model_zoo', 'paper', 'api/fusion', 'notebooks/plain_torch'):
        assert (site / f'{page}.html').is_file()
    assert 'mango-trust-rooms' in (site / 'model_zoo.html').read_text()
    assert 'MangoFusion' in (site / 'api/fusion.html').read_text()
    assert (site / 'searchindex.js').stat().st_size > 100_000


@pytest.mark.slow
def test_links_inside_the_site_lead_somewhere(site):
    for page in site.rglob('*.html'):
        text = page.read_text(encoding='utf-8')
        for link in re.findall(r'href="([^"#:?]+)(?:[#?][^"]*)?"', text):
            assert (page.parent / link).exists(), f'{page.relative_to(site)} links to {link}'


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_was_run(path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    stored = nbformat.read(path, as_version=4)
    shown = [c for c in stored.cells if c.cell_type == 'code' and c.outputs]
    assert shown, 'run tools/docs/notebooks.py'
    assert path.stat().st_size < 600_000
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={'metadata': {'path': path.parent}}).execute()
    assert pictures(notebook) == pictures(stored)


def pictures(notebook):
    """How many every cell shows."""
    return [
        sum('image/png' in output.get('data', {}) for output in cell.get('outputs', []))
        for cell in notebook.cells
    ]


def commands():
    """Every command of every page, one line each."""
    for page in SHOWN:
        for command in commands_of(page):
            yield page, command


def test_tools_configs_and_options_of_every_command_exist(monkeypatch, capsys):
    """Options are asked of the tool itself; files that a page makes first may not be there yet."""
    import runpy

    helped: dict[str, str] = {}
    seen = 0
    for page, line in commands():
        for part in line.split('&&'):
            words = shlex.split(part, comments=True)
            tools = [w for w in words if re.fullmatch(r'tools/[\w/]+\.(py|sh)', w)]
            for word in words:
                if re.fullmatch(r'configs/[\w/.+-]+\.py', word):
                    assert (ROOT / word).is_file(), f'{page.name}: {word}'
            if not tools:
                continue
            tool = tools[0]
            assert (ROOT / tool).is_file(), f'{page.name}: {tool}'
            if tool.endswith('.sh'):
                continue
            if tool not in helped:
                monkeypatch.setattr(sys, 'argv', [tool, '--help'])
                monkeypatch.setattr(sys, 'path', [str((ROOT / tool).parent), *sys.path])
                with pytest.raises(SystemExit):
                    runpy.run_path(str(ROOT / tool), run_name='__main__')
                helped[tool] = capsys.readouterr().out
            for option in re.findall(r'(?<=\s)--[a-z][\w-]*', ' ' + part.split(tool, 1)[1]):
                assert option in helped[tool], f'{page.name}: {tool} has no {option}'
            seen += 1
    assert seen > 50
