"""Small rooms on disk, and commands that train on them, for tests that run for real."""

import os
import subprocess
import sys
from pathlib import Path

from forking import Forker

from mango_mm.datasets.mini.write_rooms import write_rooms

ROOT = Path(__file__).resolve().parents[1]
MANGO = ROOT / 'configs' / 'mango' / 'mango-l2_small_1xb8-600it_mini-rooms-72x96.py'

RGBD = [dict(name='rgb', channels=3), dict(name='depth', channels=1)]

# A few iterations of two images, everything else as shipped.
SHORT = [
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'default_hooks.logger.interval=1',
]


def make_rooms(folder):
    return write_rooms(folder, train=8, val=3, size=(72, 96))


def iterations(count, every):
    return [
        f'train_cfg.max_iters={count}',
        f'train_cfg.val_interval={every}',
        f'default_hooks.checkpoint.interval={every}',
    ]


def environment(rooms):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    return {
        **os.environ,
        'MANGO_MINI_ROOMS': str(rooms),
        'MANGO_MINI_TASKONOMY': str(rooms),
        'OMP_NUM_THREADS': '1',
        'PYTHONPATH': path,
    }


FORKER = Forker()


def run(rooms, *command, cwd=None, check=False, **options):
    words = [str(word) for word in command]
    if words[0].endswith('.py') and not options:
        here = os.path.abspath(cwd or os.curdir)
        done = FORKER.run(*words, cwd=here, env=environment(rooms))
        if check:
            done.check_returncode()
        return done
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *words],
        capture_output=True,
        text=True,
        env=environment(rooms),
        cwd=cwd,
        check=check,
        **options,
    )
