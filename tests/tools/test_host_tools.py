"""mmsegmentation's own tools on our configs: what they write, not only that they end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
from PIL import Image
from rooms import MANGO, ROOT, SHORT, environment, iterations, make_rooms, run

TOOLS = Path(mmseg.__file__).parent / '.mim' / 'tools'
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOLS.is_dir(), reason='this mmseg came without its tools'),
]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp('host')
    make_rooms(root / 'rooms')
    options = ['--cfg-options', *SHORT, *iterations(2, 2)]
    done = run(root / 'rooms', 'tools/train.py', MANGO, '--work-dir', root / 'work', *options,
               cwd=ROOT, check=True)  # fmt: skip
    return root, done.stdout


def host(root, tool, *arguments):
    """A tool of mmseg's, from the folder of the run."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', str(TOOLS / tool), *map(str, arguments)], cwd=root,
        env={**environment(root / 'rooms'), 'MPLBACKEND': 'Agg'}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_out_is_what_the_confusion_matrix_reads(trained):
    root, _ = trained
    checkpoint = root / 'work/iter_2.pth'
    done = host(root, 'test.py', MANGO, checkpoint, '--work-dir', root / 'w', '--out', 'pred')
    assert done.returncode == 0, done.stderr[-500:]
    files = sorted((root / 'pred').glob('*.png'))
    assert len(files) == 3
    assert np.asarray(Image.open(files[0])).max() < 10
    assert 'nll_per_dim' in done.stdout
    done = host(root, 'analysis_tools/confusion_matrix.py', MANGO, 'pred', 'matrix')
    assert done.returncode == 0, done.stderr[-500:]
    assert (root / 'matrix/confusion_matrix.png').stat().st_size > 10_000


def test_show_dir_holds_panels_of_all_modalities(trained):
    root, _ = trained
    done = host(root, 'test.py', MANGO, root / 'work/iter_2.pth', '--work-dir', root / 'w',
                '--show-dir', 'show')  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    files = list((root / 'show').rglob('vis_image/*.png'))
    assert len(files) == 3
    assert Image.open(files[0]).width > 4 * 96  # RGB, depth, truth, prediction


def test_browse_dataset_shows_the_images(trained):
    root, _ = trained
    done = host(root, 'analysis_tools/browse_dataset.py', MANGO, '--output-dir', 'browse',
                '--not-show')  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    files = sorted((root / 'browse').glob('*.jpg'))
    assert len(files) == 8
    assert np.asarray(Image.open(files[0])).std() > 10


def test_benchmark_and_train_run(trained):
    root, _ = trained
    done = host(root, 'analysis_tools/benchmark.py', MANGO, root / 'work/iter_2.pth',
                '--work-dir', root / 'w', '--log-interval', '2')  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert 'fps' in done.stdout
    options = ['--cfg-options', *SHORT, *iterations(2, 2)]
    done = host(root, 'train.py', MANGO, '--work-dir', root / 'theirs', *options)
    assert done.returncode == 0, done.stderr[-500:]
    ours, theirs = (
        [json.loads(x) for x in next((root / d).glob('2*/vis_data/scalars.json')).open()][-1]
        for d in ('work', 'theirs')
    )
    assert ours['mIoU'] == theirs['mIoU']


def test_the_console_of_a_training_fits_a_screen(trained):
    """787 lines for 4 iterations before, of which 12 were progress or results."""
    root, stdout = trained
    lines = stdout.splitlines()
    assert len(lines) < 40, stdout
    assert not [x for x in lines if 'paramwise_options' in x or 'will be deprecated' in x]
    for wanted in ('config: in', 'hooks: ', 'labels of 8 of 8', 'Iter(train)', 'mIoU'):
        assert any(wanted in x for x in lines), wanted
    (log,) = (root / 'work').glob('2*/*.log')
    whole = log.read_text()
    assert 'System environment' in whole
    assert 'paramwise_options' in whole
    assert 'Hooks will be executed' in whole
    assert os.path.getsize(log) > 20 * len(stdout)


def test_flops_of_one_config(trained):
    root, _ = trained
    found = []
    for shape in ([], ['--shape', '96', '128'], ['--shape', '192', '256']):
        tool = 'tools/analyse/get_flops.py'
        done = run(root / 'rooms', tool, MANGO, *shape, cwd=ROOT, check=True)
        lines = [x for x in done.stdout.splitlines() if 'env variable' not in x]
        assert len(lines) == (1 if shape else 2)
        found.append(float(lines[0].split(' GFLOPs')[0]))
    assert found[0] < found[1] < found[2]
