"""The built package carries what MIM looks for, and its base needs torch and numpy alone."""

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    subprocess.run(['git', 'clone', '-q', str(ROOT), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-q',
         '-w', str(folder), str(source)],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob('mango_mm-*.whl')))


def test_it_carries_configs_tools_and_the_model_index(wheel):
    names = set(wheel.namelist())
    leaves = [n for n in names if n.startswith('mango_mm/.mim/configs/') and n.endswith('.py')]
    here = [p for p in (ROOT / 'configs').rglob('*.py')]
    assert len(leaves) == len(here) > 54
    assert {'mango_mm/.mim/tools/train.py', 'mango_mm/.mim/tools/test.py'} <= names
    assert {'mango_mm/.mim/tools/dist_train.sh', 'mango_mm/.mim/model-index.yml'} <= names
    assert 'mango_mm/py.typed' in names


def test_the_base_install_needs_torch_and_numpy_alone(wheel):
    name = next(n for n in wheel.namelist() if n.endswith('.dist-info/METADATA'))
    metadata = Parser().parsestr(wheel.read(name).decode())
    requirements = metadata.get_all('Requires-Dist')
    base = [r for r in requirements if 'extra ==' not in r]
    assert {r.split('>')[0] for r in base} == {'torch', 'numpy'}
    assert set(metadata.get_all('Provides-Extra')) == {
        'seg',
        'edit',
        'imdb',
        'onnx',
        'prepare',
        'all',
        'dev',
    }


def test_every_model_of_the_index_exists():
    import yaml

    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = []
    for path in index['Import']:
        models += yaml.safe_load((ROOT / path).read_text())['Models']
    leaves = {p.stem for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts}
    names = [model['Name'] for model in models]
    assert len(names) == len(set(names)) > 250
    assert set(names) == leaves - {p.stem for p in (ROOT / 'configs/autoencoder').glob('*.py')}
    for model in models:
        assert Path(model['Config']).stem == model['Name']
        assert (ROOT / model['Config']).is_file()


def test_every_folder_of_configs_says_what_it_is():
    folders = [p for p in (ROOT / 'configs').iterdir() if p.name not in ('_base_', 'autoencoder')]
    assert len(folders) == 20
    for folder in folders:
        text = (folder / 'README.md').read_text()
        for line in text.splitlines():
            for link in re.findall(r'\]\(([^)#]+)\)', line):
                assert link.startswith('http') or (folder / link).resolve().exists(), (folder, link)
