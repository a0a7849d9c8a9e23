"""The commands of the pages, run as they stand: data, training, test, inference, analyses."""

import itertools
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import torch
from commands import LONG, NOT_RUN, PAGES, ROOT, RUN_ELSEWHERE, RUN_HERE, commands_of
from rooms import FORKER, SHORT, iterations

from mango_mm.datasets.mini.write_rooms import write_rooms

pytest.importorskip('mmseg')

WORKERS = [o for o in SHORT if 'workers' in o]
# What is appended to a tool's command so that it takes seconds.
SHORTER = {
    'train.py': ['--cfg-options', *SHORT, *iterations(2, 2)],
    'test.py': ['--cfg-options', *WORKERS],
    'cache_features.py': ['--cfg-options', *WORKERS],
    'robustness.py': ['--cfg-options', *WORKERS],
    'report.py': ['--severities', '5', '--cfg-options', *WORKERS],
    'mini_rooms.py': ['--train', '10', '--val', '4'],
    'mini_sequences.py': ['--train', '40', '--val', '8', '--test', '8'],
    'generate.py': ['--count', '2', '--cfg-options', *WORKERS],
}


# Checkpoints that other configs name, and what a training of two iterations calls them.
NAMED_BY_CONFIGS = {'*_lite0_1xb8-900it_*': 'iter_900.pth', 'mae_small_*': 'iter_600.pth'}


def elsewhere(command):
    """The test that runs a command's tool; the longest beginning counts. None: there is none."""
    fitting = [k for k in RUN_ELSEWHERE if f'{command} '.startswith(f'{k} ')]
    return RUN_ELSEWHERE[max(fitting, key=len)] if fitting else None


def is_run_here(page, command):
    if elsewhere(command) is not None or command in NOT_RUN:
        return False
    return str(page.relative_to(ROOT)) in RUN_HERE


def test_every_command_of_every_page_is_run_or_listed_with_the_reason():
    known = [(page, c) for page in PAGES for c in commands_of(page)]
    assert len(known) > 60
    forgotten = [
        f'{page.relative_to(ROOT)}: {c}' for page, c in known
        if not is_run_here(page, c) and elsewhere(c) is None and c not in NOT_RUN
    ]  # fmt: skip
    assert forgotten == []
    commands = [c for _, c in known]
    assert [c for c in NOT_RUN if c not in commands] == []
    assert [k for k in RUN_ELSEWHERE if not any(c.startswith(k) for c in commands)] == []


@pytest.mark.parametrize('test', sorted(set(RUN_ELSEWHERE.values())))
def test_the_test_that_runs_a_command_is_there(test):
    path, name = test.split('::')
    assert f'def {name}(' in (ROOT / 'tests' / path).read_text(encoding='utf-8')


def own_folders(folder):
    """What a reader has in ``data/mine``: images, 16-bit thermal, arrays, masks."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ('images', 'thermal', 'bands', 'masks'):
        (folder / name).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((40, 48), np.uint8)
        mask[:, i + 8 :] = 1
        Image.fromarray(rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(
            folder / f'images/park_{i}.jpg'
        )
        Image.fromarray((mask * 2000 + 300).astype(np.uint16)).save(
            folder / f'thermal/park_{i}_t.png'
        )
        np.save(folder / f'bands/park_{i}.npy', rng.normal(size=(40, 48, 5)).astype(np.float32))
        Image.fromarray(mask).save(folder / f'masks/park_{i}.png')


def random_encoder(folder):
    """EfficientNet-Lite0 as ``tools/prepare/encoders.py`` leaves it, with random weights."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model('tf_efficientnet_lite0', pretrained=False, features_only=True)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / 'efficientnet-lite0.safetensors')


def train(config):
    return f'python tools/train.py {config}'


def prepared(page, folder):
    """Lay out what a page takes for granted; the commands that other pages gave before."""
    name = page.stem
    if name == 'README':
        (code,) = [b for b in re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL)
                   if 'FusionNeck' in b]  # fmt: skip
        (folder / 'my_config.py').write_text(code)
    if name == 'your_data':
        own_folders(folder / 'data/mine')
    if name in ('encoders', 'trust'):
        random_encoder(folder / 'data/encoders')
        write_rooms(folder / 'nyu/nyuv2', train=70, val=4, size=(72, 96))
    mini = 'python tools/prepare/mini_rooms.py data/mini_rooms --size 72 96 --train 70'
    options = RUN_HERE[str(page.relative_to(ROOT))]
    if name == 'trust':
        experts = [c for c in commands_of(ROOT / 'docs/encoders.md') if 'unimodal' in c]
        return [mini, train(options['CONFIG']), *experts]
    return []


def shortened(words):
    """A command's words, and what makes it short; its own ``--cfg-options`` stay."""
    tool = next(w for w in words if w.startswith('tools/'))
    more = list(SHORTER.get(os.path.basename(tool), ()))
    if '--train' in words:
        more = more[2:]
    if '--cfg-options' in words and '--cfg-options' in more:
        more.remove('--cfg-options')
    if os.path.basename(tool) == 'train.py' and 'mini-sequences' in ' '.join(words):
        more += ['val_dataloader.batch_size=4', 'test_dataloader.batch_size=4']
    return [*words, *more]


def serve(words, env, folder):
    """Start a server, ask it for its page, end it."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    command = [sys.executable, *words[1:], '--port', str(port)]
    server = subprocess.Popen(command, cwd=folder, env=env)
    try:
        for _ in range(120):
            time.sleep(0.5)
            assert server.poll() is None
            try:
                with urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=60) as answer:
                    assert b'mango' in answer.read().lower()
                return
            except OSError:
                continue
        raise AssertionError('it does not answer')
    finally:
        server.terminate()
        server.wait()


def pages_run_here():
    for name in RUN_HERE:
        mark = pytest.mark.soak if name in LONG else pytest.mark.slow
        yield pytest.param(ROOT / name, marks=mark, id=ROOT.joinpath(name).stem)


@pytest.mark.parametrize('page', pages_run_here())
def test_the_commands_of_a_page_run_in_its_order(page, tmp_path):
    for name in ('configs', 'tools', 'mango_mm'):
        (tmp_path / name).symlink_to(ROOT / name)
    placeholders = dict(RUN_HERE[str(page.relative_to(ROOT))])
    commands = prepared(page, tmp_path)
    commands += [c for c in commands_of(page) if is_run_here(page, c)]
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT),
           'MANGO_DATA_ROOT': str(tmp_path / 'nyu')}  # fmt: skip
    for name in ('MANGO_ENCODERS', 'MANGO_CACHE', 'MANGO_WORK_DIRS', 'MANGO_MINI_ROOMS'):
        env.pop(name, None)
    for command in itertools.chain.from_iterable(c.split(' && ') for c in commands):
        if assigned := re.fullmatch(r'([A-Z]+)=(\S+)', command):
            placeholders['$' + assigned[1]] = assigned[2]
            continue
        words = []
        for word in shlex.split(command):
            for name in sorted(placeholders, key=len, reverse=True):
                if word == name or word.startswith(f'{name}/'):
                    word = word.replace(name, placeholders[name], 1)
            words.append(word.replace('/000241.', '/000011.'))  # there are fewer rooms here
        assert words[0] == 'python', command
        if words[1] == 'tools/web.py':
            serve(words, env, tmp_path)
            continue
        done = FORKER.run(*shortened(words[1:]), cwd=str(tmp_path), env=env)
        assert done.returncode == 0, f'{command}\n{done.stderr[-2000:]}'
        for work_dir, name in NAMED_BY_CONFIGS.items():
            for short in tmp_path.glob(f'work_dirs/{work_dir}/iter_2.pth'):
                short.rename(short.with_name(name))
