"""compare.py killed at any moment, in any way: no orphan, no run twice at a time, no lost result.

A short form in every test run; ``MANGO_RELIABILITY=full`` (``make soak``) kills 24 times.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from rooms import ROOT, SHORT, iterations, make_rooms

pytestmark = pytest.mark.slow

FULL = os.environ.get('MANGO_RELIABILITY') == 'full'
KILLS = 24 if FULL else 3
HOW = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
RGB = ROOT / 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py'


def options():
    pairs = (o.split('=') for o in [*SHORT, *iterations(6, 2)])
    return {k: {'False': False}.get(v, int(v) if v.isdigit() else v) for k, v in pairs}


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    runs = [dict(name=n, config=str(c)) for n, c in (('concat', CONCAT), ('RGB only', RGB))]
    seeds = [0, 1] if FULL else [0]
    given = dict(title='Soak', runs=runs, seeds=seeds, options=options(), headline='mIoU')
    (tmp_path / 'suite.yml').write_text(yaml.safe_dump(given))
    return tmp_path / 'suite.yml', len(runs) * len(seeds)


def start(suite, out):
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools/benchmark/compare.py'), str(suite),
               '--out', str(out), '--jobs', '2', '--no-costs']  # fmt: skip
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def trainings(out):
    """Work dirs of the processes that train below ``out``, one per process."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_bytes().split(b'\0')
            state = (path.parent / 'stat').read_text().rpartition(')')[2].split()[0]
        except OSError:  # gone meanwhile
            continue
        mine = [w.decode() for w in words if w.startswith(f'{out}/'.encode())]
        if state != 'Z' and any(b'_train(' in w for w in words) and mine:
            found.append(mine[0])
    return found


def read(out):
    path = out / 'results.jsonl'
    lines = path.read_text().splitlines() if path.exists() else []
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return whole


def core(lines):
    return sorted(
        (x['name'], x['seed'], {k: v for k, v in x.items() if k != 'seconds'}) for x in lines
    )


def test_a_comparison_survives_being_killed_at_any_moment(suite, tmp_path, reliability):
    suite, count = suite
    rng, out = random.Random(0), tmp_path / 'out'
    kept, busy = [], 0
    for kill in range(KILLS):
        process = start(suite, out)
        end = time.monotonic() + rng.uniform(3, 22)
        intruder = None
        while time.monotonic() < end and process.poll() is None:
            at_once = Counter(trainings(out))
            assert all(n == 1 for n in at_once.values()), at_once
            busy = max(busy, len(at_once))
            if intruder is None and kill % 4 == 1 and at_once:
                intruder = start(suite, out)  # a second one on the same folder
                said, _ = intruder.communicate(timeout=120)
                assert intruder.returncode == 2, said
                assert 'is in use by another process' in said
            time.sleep(0.1)
        if process.poll() is None:
            os.kill(process.pid, HOW[kill % len(HOW)])
            reliability.faults(f'compare.py, {HOW[kill % len(HOW)].name}')
        process.communicate(timeout=60)
        gone = time.monotonic() + 20
        while trainings(out) and time.monotonic() < gone:
            time.sleep(0.1)
        assert trainings(out) == [], 'a training outlived its comparison'
        now = read(out)
        assert core(now)[: len(kept)] == core(kept) or all(x in core(now) for x in core(kept))
        kept = now
        if kill % 5 == 2:  # as if cut off in the middle of a line
            with open(out / 'results.jsonl', 'a') as file:
                file.write('{"name": "concat", "se')
    process = start(suite, out)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]
    calm = start(suite, tmp_path / 'calm')
    said, _ = calm.communicate(timeout=900)
    assert calm.returncode == 0, said[-3000:]
    assert len(read(out)) == count
    assert core(read(out)) == core(read(tmp_path / 'calm'))  # bit for bit
    assert busy >= 1
