"""Nothing asks the network for anything, unless a config says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rooms import MANGO, ROOT, SHORT, environment, iterations, make_rooms

pytestmark = pytest.mark.slow

BLOCK = """
import sys

def refuse(event, arguments):
    if event in ('socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'):
        raise PermissionError(f'no network in this test: {event} {arguments}')
    # Processes of one machine talk through sockets with a path for an address.
    if event == 'socket.connect' and isinstance(arguments[1], tuple):
        raise PermissionError(f'no network in this test: {event} {arguments[1]}')

sys.addaudithook(refuse)
"""


@pytest.fixture
def blocked(tmp_path):
    """An environment in which every Python process refuses to look a name up or connect."""
    folder = tmp_path / 'block'
    folder.mkdir()
    (folder / 'sitecustomize.py').write_text(BLOCK)
    env = environment(tmp_path / 'rooms')
    env['PYTHONPATH'] = f'{folder}{os.pathsep}{env["PYTHONPATH"]}'
    return env


def run(env, *command, **options):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        env=env, capture_output=True, text=True, timeout=900, **options,
    )  # fmt: skip


def test_the_block_blocks(blocked):
    name, address = "urllib.request.urlopen('http://a.org')", "('1.1.1.1', 80)"
    for call in (name, f'socket.create_connection({address})'):
        done = run(blocked, '-c', f'import socket, urllib.request; {call}')
        assert done.returncode != 0
        assert 'no network in this test' in done.stderr


def test_training_testing_and_the_demo_work_without_a_network(blocked, tmp_path, reliability):
    make_rooms(tmp_path / 'rooms')
    done = run(blocked, ROOT / 'tools/train.py', MANGO, '--work-dir', tmp_path / 'w',
        '--cfg-options', *SHORT, *iterations(2, 2), 'train_dataloader.num_workers=1',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(blocked, ROOT / 'tools/test.py', MANGO, tmp_path / 'w', '--cfg-options', *SHORT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'mIoU=' in done.stdout
    reliability.cases(2)
    if reliability.full:
        done = run(blocked, ROOT / 'tools/demo.py', '--iters', '20', '--out', tmp_path / 'demo',
                   '--data', tmp_path / 'mini_rooms')  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert Path(tmp_path / 'demo/panels.png').stat().st_size > 10_000
        reliability.cases()
