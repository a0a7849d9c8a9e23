"""The tools end to end on generated rooms: train, kill, resume, test, show; mmseg's own too."""

import contextlib
import io
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import mmseg
import pytest
import torch
from rooms import MANGO, ROOT, SHORT, environment, iterations, make_rooms, run

MMSEG_TOOLS = Path(mmseg.__file__).parent / '.mim' / 'tools'


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return make_rooms(tmp_path_factory.mktemp('rooms'))


def train(rooms, work_dir, *arguments, options=()):
    return run(
        rooms, ROOT / 'tools/train.py', MANGO, '--work-dir', work_dir, *arguments,
        '--cfg-options', *SHORT, *options,
    )  # fmt: skip


@pytest.fixture(scope='module')
def trained(rooms, tmp_path_factory):
    """An uninterrupted run of 8 iterations, checkpoints at 4 and 8."""
    work_dir = tmp_path_factory.mktemp('run')
    done = train(rooms, work_dir, options=iterations(8, 4))
    assert done.returncode == 0, done.stderr[-2000:]
    return work_dir


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def test_training_logs_validates_and_draws(trained):
    lines = [
        json.loads(x)
        for x in next(trained.glob('*/vis_data/scalars.json')).read_text().splitlines()
    ]
    assert sum('loss' in line for line in lines) == 8
    last = [line for line in lines if 'mIoU' in line][-1]
    assert {'aAcc', 'mAcc', 'nll_per_dim', 'bits_per_dim'} <= set(last)
    assert len(list(trained.glob('*/panels/step_000008/*.png'))) == 3


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_weights(rooms, trained, tmp_path):
    command = [
        sys.executable, '-W', 'ignore', str(ROOT / 'tools/train.py'), str(MANGO),
        '--work-dir', str(tmp_path), '--cfg-options', *SHORT, *iterations(8, 4),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=environment(rooms), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / 'last_checkpoint').exists():
        assert time.monotonic() < deadline, 'no checkpoint in two minutes'
        assert process.poll() is None, 'training ended by itself'
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'iter_8.pth').exists()
    done = train(rooms, tmp_path, '--resume', options=iterations(8, 4))
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'resumed epoch: 0, iter: 4' in done.stdout + done.stderr
    expected, got = weights(trained / 'iter_8.pth'), weights(tmp_path / 'iter_8.pth')
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=0, msg=name)


def test_a_checkpoint_cannot_run_code(rooms, trained, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ('touch evil',)

    bad = tmp_path / 'bad.pth'
    torch.save({'state_dict': {}, 'meta': Evil()}, bad)
    done = run(rooms, ROOT / 'tools/test.py', MANGO, bad, cwd=tmp_path)
    assert done.returncode != 0
    assert done.returncode == 2
    assert 'holds more than tensors and plain values' in done.stderr
    assert not (tmp_path / 'evil').exists()
    torch.load(trained / 'iter_8.pth', weights_only=True)  # ours passes the safe loader


@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_testing_prints_miou_and_saves_panels(rooms, trained, tmp_path, tta):
    done = run(
        rooms, ROOT / 'tools/test.py', MANGO, trained / 'latest', '--work-dir', tmp_path / 'log',
        '--show-dir', tmp_path / 'panels', *tta, '--cfg-options', *SHORT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'mIoU=' in done.stdout
    assert len(list((tmp_path / 'panels').glob('*.png'))) == 3


@pytest.mark.slow
def test_mmsegs_packaged_tools_run_our_configs(rooms, tmp_path):
    done = run(
        rooms, MMSEG_TOOLS / 'train.py', MANGO, '--work-dir', tmp_path,
        '--cfg-options', *SHORT, *iterations(2, 2),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(
        rooms, MMSEG_TOOLS / 'test.py', MANGO, tmp_path / 'iter_2.pth', '--work-dir', tmp_path,
        '--cfg-options', *SHORT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'mIoU' in done.stdout + done.stderr


@pytest.mark.slow
def test_two_gloo_processes_train_through_the_tool(rooms, tmp_path):
    done = run(
        rooms, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
        ROOT / 'tools/train.py', MANGO, '--work-dir', tmp_path, '--launcher', 'pytorch',
        '--cfg-options', *SHORT, *iterations(2, 2),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['no.py'], 'config file no.py does not exist'),
        ([MANGO, '--resume', 'gone.pth'], 'checkpoint gone.pth does not exist'),
    ],
)
def test_wrong_arguments_are_named(rooms, tmp_path, arguments, message):
    done = run(rooms, ROOT / 'tools/train.py', *arguments, '--work-dir', tmp_path / 'w')
    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]


def test_help_of_every_tool_has_an_example(monkeypatch):
    tools = sorted(p for p in (ROOT / 'tools').rglob('*.py'))
    assert len(tools) == 49  # change together with tools/
    for tool in tools:
        assert 'Example' in tool.read_text() or 'Run:' in tool.read_text(), tool
        # In this process: 38 interpreters took three minutes to say as much.
        monkeypatch.setattr(sys, 'argv', [str(tool), '--help'])
        monkeypatch.setattr(sys, 'path', [str(tool.parent), *sys.path])
        said = io.StringIO()
        with pytest.raises(SystemExit) as end, contextlib.redirect_stdout(said):
            runpy.run_path(str(tool), run_name='__main__')
        assert end.value.code in (0, None), tool
        assert 'usage:' in said.getvalue(), tool


def test_slurm_script_calls_srun_with_the_training_tool(tmp_path):
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / 'tools/slurm_train.sh'), 'gpu', 'job', 'config.py', 'work', '--amp'],
        capture_output=True,
        text=True,
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'GPUS': '4'},
    )
    assert done.returncode == 0, done.stderr
    assert '-p gpu --job-name=job' in done.stdout
    assert '--ntasks=4' in done.stdout
    assert 'config.py --work-dir work --launcher slurm --amp' in done.stdout
