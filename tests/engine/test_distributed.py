"""Two gloo processes give the gradients of one, ActNorm statistics included."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rooms import ROOT, environment


@pytest.mark.slow
def test_ddp_gives_the_single_process_gradients(tmp_path):
    import sys as _sys

    _sys.path.insert(0, str(Path(__file__).parent))
    from ddp_worker import batch, build, gradients

    worker = str(Path(__file__).with_name('ddp_worker.py'))
    env = environment('unused')
    env['PYTHONPATH'] += f':{ROOT / "tests"}'
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                '-W',
                'ignore',
                worker,
                str(rank),
                str(tmp_path / 'store'),
                str(tmp_path),
            ],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors[-2000:]
    expected, buffers = gradients(build(), *batch())
    for rank in (0, 1):
        got, got_buffers = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert set(got) == set(expected)
        for name, gradient in expected.items():
            torch.testing.assert_close(got[name], gradient, rtol=1e-3, atol=2e-6, msg=name)
        flags = [n for n in got_buffers if n.endswith('initialised')]
        assert flags
        assert all(got_buffers[n] and buffers[n] for n in flags)
