"""The demos of segmentation run whole, only with few iterations."""

import json

import pytest
from rooms import ROOT, run

pytestmark = pytest.mark.slow


def test_the_demo(tmp_path):
    done = run('unused', ROOT / 'tools/demo.py', '--iters', '2', '--out', tmp_path / 'demo',
               '--data', tmp_path / 'rooms')  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'MANGO' in done.stdout
    assert (tmp_path / 'demo/panels.png').stat().st_size > 10_000


def test_the_demo_of_trust(tmp_path):
    done = run('unused', ROOT / 'tools/demo_trust.py', '--iters', '2', '--out', tmp_path / 'demo',
               '--data', tmp_path / 'rooms')  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'with working sensors' in done.stdout
    lines = json.loads((tmp_path / 'demo/failures.json').read_text())
    assert {line['rule'] for line in lines} >= {'trust', 'mean', 'fused'}
    for name in ('failures', 'panels', 'fading'):
        assert (tmp_path / f'demo/seed0/{name}.png').stat().st_size > 5_000
