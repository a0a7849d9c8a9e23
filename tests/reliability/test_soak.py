"""Trainings killed at every kind of moment end like one that was left in peace, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faults import assert_same

from mango_mm.checkpoints import find_checkpoint, load_safely
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mini.write_rooms import write_rooms

pytestmark = pytest.mark.slow

ITERATIONS, EVERY = 6, 2
KINDS = ('time', 'write', 'full', 'step', 'val', 'worker')
MOMENTS = ('half', 'fsync', 'replace', 'after')


class Launcher:
    """See launcher.py: forks a training, kills it after a while if told to."""

    def __init__(self):
        command = [sys.executable, '-W', 'ignore', str(Path(__file__).with_name('launcher.py'))]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
        assert 'ready' in self._read()

    def _read(self):
        line = self.process.stdout.readline()
        assert line, 'the launcher died'
        return json.loads(line)

    def run(self, order, kill_after=None, limit=120):
        """Exit code (negative: signal) and log of a training; a hang is a failure."""
        self.process.stdin.write(json.dumps(order) + '\n')
        self.process.stdin.flush()
        pid = self._read()['pid']
        hung = []

        def kill(late):
            hung.extend([True] * late)
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)

        timer = threading.Timer(kill_after or limit, kill, [kill_after is None])
        timer.start()
        ended = self._read()
        timer.cancel()
        assert not hung, f'hung for {limit} s: {ended["log"][-1500:]}'
        return ended['status'], ended['log']

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


@pytest.fixture(scope='module')
def launcher():
    running = Launcher()
    yield running
    running.close()


def make_data(task, folder):
    if task == 'movies':
        write_movies(folder, train=8, dev=4, test=2)
    else:
        write_rooms(folder, train=6, val=2, size=(96, 128), taskonomy=task == 'translation')
    return str(folder)


def assert_everything_saved_is_whole(work):
    for path in work.glob('*.pth'):
        assert set(load_safely(path)) >= {'state_dict', 'meta'}, path
    if (work / 'last_checkpoint').exists():
        load_safely(find_checkpoint(work))


def result_of(work):
    """What must not differ: weights, optimiser, schedule, random state, best score and file."""
    files = {p.name: load_safely(p) for p in sorted(work.glob('*.pth'))}
    kept = {}
    for name, saved in files.items():
        parts = {k: saved[k] for k in saved if k not in ('meta', 'message_hub')}
        info = saved['message_hub']['runtime_info']
        parts['best_score'] = info.get('best_score')
        parts['position'] = (saved['meta']['epoch'], saved['meta']['iter'])
        kept[name] = parts
    return kept


def draw_fault(rng, task, seconds):
    kind = rng.choice(KINDS)
    if kind == 'time':
        return None, rng.uniform(0.05, 1.0) * seconds
    nth = rng.randint(1, {'write': 6, 'full': 6, 'val': 4}.get(kind, ITERATIONS))
    return {'kind': kind, 'nth': nth, 'moment': rng.choice(MOMENTS)}, None


REASONS = {
    'full': 'No space left on device',
    'worker': 'DataLoader worker',
}


@pytest.mark.parametrize('task', ['segmentation', 'movies', 'translation'])
def test_killed_runs_resume_to_the_same_result(launcher, task, tmp_path, reliability):
    rounds = reliability.scale(short=3, full=40)
    rng = random.Random(task)
    data = make_data(task, tmp_path / 'data')
    order = dict(task=task, data=data, iterations=ITERATIONS, every=EVERY, fault=None)

    begin = time.monotonic()
    status, log = launcher.run({**order, 'work': str(tmp_path / 'straight')})
    seconds = time.monotonic() - begin
    assert status == 0, log
    expected = result_of(tmp_path / 'straight')
    assert f'iter_{ITERATIONS}.pth' in expected
    done, run, kinds = 0, 0, {}
    while done < rounds:
        run += 1
        work = tmp_path / f'run{run}'
        status, attempts = None, 0
        while status != 0:
            # After many faults in a row a run is let through, so that it ends.
            fault, kill_after = draw_fault(rng, task, seconds) if attempts < 8 else (None, None)
            attempts += 1
            status, log = launcher.run({**order, 'work': str(work), 'fault': fault}, kill_after)
            kind = fault['kind'] if fault else 'time' if kill_after else 'none'
            if status != 0:
                done += 1
                kinds[kind] = kinds.get(kind, 0) + 1
                reliability.faults(kind)
                killed = status == -signal.SIGKILL
                assert killed or (kind in REASONS and REASONS[kind] in log), (kind, status, log)
            assert_everything_saved_is_whole(work)
        assert_same(result_of(work), expected, f'{task} after {attempts} attempts')
        assert not list(work.glob('.*.partial'))
    assert sum(kinds.values()) >= rounds
    reliability.note(f'{task}: {done} faults in {run} runs: {kinds}')
