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
    assert len(leaves) == len(here) > 190
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
        'encoders',
        'onnx',
        'prepare',
        'all',
        'web',
        'docs',
        'dev',
    }


def indexed():
    """Every entry of every metafile that the index imports."""
    import yaml

    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    metafiles = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob('configs/*/metafile.yml'))
    assert sorted(index['Import']) == metafiles
    return [m for path in metafiles for m in yaml.safe_load((ROOT / path).read_text())['Models']]


def test_every_model_of_the_index_exists():
    leaves = {p.stem for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts}
    models = indexed()
    names = [model['Name'] for model in models]
    assert len(names) == len(set(names)) == 168  # change together with configs/
    assert set(names) == leaves
    for model in models:
        assert Path(model['Config']).stem == model['Name']
        assert (ROOT / model['Config']).is_file()


def test_results_of_the_index_are_those_that_the_config_says_are_ours():
    measured = 0
    for model in indexed():
        header = (ROOT / model['Config']).read_text().split('"""')[1]
        (ours,) = re.findall('^Ours: *(.*)', header, re.MULTILINE)
        numbers = {float(x) for x in re.findall(r'-?\d*\.\d+', ours)}
        assert bool(numbers) != (ours == 'not measured'), model['Name']
        # What an earlier version gave is told, but is no result of this config.
        assert bool(model.get('Results')) == (bool(numbers) and 'outdated' not in ours)
        for result in model.get('Results', []):
            assert set(result) == {'Task', 'Dataset', 'Metrics'}
            assert result['Dataset'] == model['Metadata']['Training Data']
            assert set(result['Metrics'].values()) <= numbers, model['Name']
            measured += 1
    assert measured == 92  # change together with configs/


def test_every_folder_of_configs_says_what_it_is():
    folders = [p for p in (ROOT / 'configs').iterdir() if p.is_dir() and p.name != '_base_']
    assert len(folders) == 21
    for folder in folders:
        text = (folder / 'README.md').read_text()
        for line in text.splitlines():
            for link in re.findall(r'\]\(([^)#]+)\)', line):
                assert link.startswith('http') or (folder / link).resolve().exists(), (folder, link)
