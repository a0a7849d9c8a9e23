"""The example in the help of every analysis runs as it stands, only shorter."""

import contextlib
import io
import re
import runpy
import shlex
import sys

import pytest
from rooms import MANGO, ROOT, SHORT, iterations, make_rooms, run
from test_robustness import CONCAT

pytestmark = pytest.mark.slow

TOOLS = ('likelihood', 'robustness', 'attribution', 'fit_density', 'report')
WORKERS = [o for o in SHORT if 'workers' in o]
SHORTER = {
    'likelihood': ['--count', '1', '--cfg-options', *WORKERS],
    'robustness': ['--kinds', 'depth_dropout', '--severities', '5', '--cfg-options', *WORKERS],
    'attribution': ['--count', '1', '--steps', '2', '--cfg-options', *WORKERS],
    'fit_density': ['--iterations', '5', '--cfg-options', *SHORT],
    'report': ['--severities', '5', '--cfg-options', *WORKERS],
}
WRITES = {
    'likelihood': 'work_dirs/likelihood/likelihood.json',
    'robustness': 'work_dirs/robustness/robustness.json',
    'attribution': 'work_dirs/attribution/attribution.json',
    'fit_density': 'work_dirs/density.pth',
    'report': f'work_dirs/{MANGO.stem}/report.html',
}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder like a checkout in which the trainings of the README have been run, briefly."""
    folder = tmp_path_factory.mktemp('examples')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    make_rooms(folder / 'rooms')
    for config in (MANGO, CONCAT):
        done = run(folder / 'rooms', ROOT / 'tools/train.py', config, '--cfg-options', *SHORT,
                   *iterations(2, 2), cwd=folder)  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.parametrize('name', TOOLS)
def test_the_example_of_the_help_runs(place, name):
    help_text = run(place / 'rooms', f'tools/analyse/{name}.py', '--help', cwd=place).stdout
    example = help_text.split('Example:')[1].split('\n\n')[0].replace('\\\n', ' ')
    python, *words = shlex.split(example)
    assert python == 'python'
    assert words[0] == f'tools/analyse/{name}.py'
    done = run(place / 'rooms', *words, *SHORTER[name], cwd=place)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (place / WRITES[name]).stat().st_size > 500


def refused(monkeypatch, place, *words):
    """What a tool says when it gives up, run in this process because starting one takes long."""
    monkeypatch.chdir(place)
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(place / 'rooms'))
    monkeypatch.setattr(sys, 'argv', [str(word) for word in words])
    said = io.StringIO()
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(said):
        runpy.run_path(str(words[0]), run_name='__main__')
    assert caught.value.code == 2
    return said.getvalue()


@pytest.mark.parametrize('name', [n for n in TOOLS if n != 'report'])
def test_a_wrong_checkpoint_or_an_empty_folder_is_one_clear_error(
    place, tmp_path, name, monkeypatch
):
    (tmp_path / 'empty').mkdir()
    for checkpoint, message in (
        (place / 'work_dirs' / CONCAT.stem, r"is not of this config's model"),
        (tmp_path / 'empty', r'holds no last_checkpoint'),
        (tmp_path / 'gone.pth', r'gone\.pth does not exist'),
    ):
        said = refused(monkeypatch, place, f'tools/analyse/{name}.py', MANGO, checkpoint, '--out',
                       tmp_path / 'out')  # fmt: skip
        assert re.search(message, said), said
        assert not (tmp_path / 'out').exists()


def test_a_config_without_a_flow_is_one_clear_error(place, tmp_path, monkeypatch):
    said = refused(monkeypatch, place, 'tools/analyse/likelihood.py', CONCAT,
                   place / 'work_dirs' / CONCAT.stem, '--out', tmp_path / 'out')  # fmt: skip
    assert 'a likelihood needs a model with a MangoFusion' in said
