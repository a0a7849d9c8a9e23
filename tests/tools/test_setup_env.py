"""The set-up's stages: done once, resumed after an interruption, redone on a change."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path):
    spec = importlib.util.spec_from_file_location('setup_env', ROOT / 'tools' / 'setup_env.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Setup(tmp_path, None)
    made.stamps.mkdir()
    return made


def test_a_stage_runs_once_and_again_when_its_content_changes(setup):
    runs = []
    for content in (b'a', b'a', b'b', b'b'):
        setup.stage('x', content, lambda: runs.append(1))
    assert len(runs) == 2


def test_an_interrupted_stage_is_not_taken_for_done(setup):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        setup.stage('x', b'a', fails)
    runs = []
    setup.stage('x', b'a', lambda: runs.append(1))
    assert runs == [1]


def test_a_folder_of_wheels_that_does_not_exist_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools/setup_env.py'), '--wheels', str(tmp_path / 'none')],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'MANGO_WHEELS must name a folder; got' in done.stderr


def test_requirements_are_pinned_with_nothing_twice():
    names = []
    for file in ('torch', 'build', 'mmcv', 'hosts', 'dev'):
        for line in (ROOT / 'requirements' / f'{file}.txt').read_text().splitlines():
            line = line.split('#')[0].strip()
            if line:
                name, _, version = line.partition('==')
                assert version, f'{file}.txt: {line} is not pinned'
                names.append(name.lower().replace('_', '-'))
    assert len(names) > 100
    assert len(names) == len(set(names))
