"""The set-up's stages: done once, resumed after an interruption, redone on a change."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_an_environment_that_was_interrupted_before_pip_gets_one(setup, tmp_path):
    folder = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
    made = type(setup)(folder, None)
    assert not made.works('import pip')
    made.create_venv()
    assert made.works('import pip')


def test_a_folder_of_wheels_that_does_not_exist_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools/setup_env.py'), '--wheels', str(tmp_path / 'none')],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'MANGO_WHEELS must name a folder; got' in done.stderr


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12'])
@pytest.mark.parametrize(
    'files',
    [
        ('torch', 'build', 'mmcv', 'hosts', 'dev', 'docs'),
        ('torch', 'build', 'mmcv-onedl', 'hosts-onedl', 'dev', 'docs'),
    ],
    ids=['openmmlab', 'onedl'],
)
def test_requirements_are_pinned_with_nothing_twice(files, python):
    names = []
    for file in files:
        for line in (ROOT / 'requirements' / f'{file}.txt').read_text().splitlines():
            line = line.split('#')[0].strip()
            if not line:
                continue
            requirement = Requirement(line)
            pins = list(requirement.specifier)
            assert [p.operator for p in pins] == ['=='], f'{file}.txt: {line} is not pinned'
            if requirement.marker is None or requirement.marker.evaluate(
                {'python_version': python}
            ):
                names.append(canonicalize_name(requirement.name))
    assert len(names) > 60
    assert len(names) == len(set(names))


def test_no_package_of_this_environment_lacks_another():
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'check'], capture_output=True, text=True, check=False
    )
    # The headless build has OpenCV's modules under another name.
    lacking = [x for x in done.stdout.splitlines() if 'requires opencv-python,' not in x]
    assert not done.returncode or lacking == [], lacking
    assert done.stdout


def test_one_folder_holds_one_family_of_hosts(setup):
    setup.claim()
    (setup.stamps / 'mmcv').write_text('built')
    setup.claim()
    setup.hosts = 'onedl'
    with pytest.raises(SystemExit, match='holds HOSTS=openmmlab; for HOSTS=onedl give another'):
        setup.claim()
