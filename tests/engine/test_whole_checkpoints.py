"""Checkpoints on bad days: written whole or not at all, and never removed too early."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from faults import build_runner, options_of, rooms_config
from mmengine.evaluator import Evaluator

from mango_mm.checkpoints import find_checkpoint, load_safely
from mango_mm.engine import whole_files
from mango_mm.engine.hooks import WholeCheckpointHook
from mango_mm.engine.whole_files import PARTIAL, WholeFileBackend, remove_partial_files, write_whole

pytestmark = pytest.mark.slow


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / 'new' / 'a.pth'
    write_whole(path, b'one')
    WholeFileBackend().put(b'two', str(path))
    assert path.read_bytes() == b'two'
    assert [p.name for p in path.parent.iterdir()] == ['a.pth']


@pytest.mark.parametrize('moment', ['write', 'fsync', 'replace'])
def test_a_writer_killed_at_any_moment_leaves_the_old_file(tmp_path, moment):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    program = f"""
import os, signal
from mango_mm.engine import whole_files
die = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == 'write':
    class Half:
        def __init__(self, *a): self.f = open(*a)
        def __enter__(self): return self
        def __exit__(self, *a): pass
        def write(self, content):
            self.f.write(content[:len(content) // 2]); self.f.flush(); die()
    whole_files.open = Half
else:
    setattr(os, {moment!r}, die)
whole_files.write_whole({str(path)!r}, b'new' * 1000)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.read_bytes() == b'old'
    assert len(list(tmp_path.iterdir())) == 2
    (name,) = remove_partial_files(tmp_path)
    assert name.endswith(PARTIAL)
    assert [p.name for p in tmp_path.iterdir()] == ['a.pth']


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files.os, 'fsync', full)
    with pytest.raises(
        OSError, match=r'No space left on device: writing it takes 2\.0 MB, .* free'
    ):
        write_whole(path, b'x' * 2_000_000)
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a.pth']


def limit_files_to(size):
    """The kernel refuses to let any file grow beyond it, as a full disk would."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_disk_that_fills_up_in_training_loses_nothing(tmp_path):
    """With one checkpoint kept, mmengine would have removed it before the write that fails."""
    config = rooms_config(tmp_path, options_of(4, 2) | {
        'default_hooks.checkpoint.max_keep_ckpts': 1,
    })  # fmt: skip
    runner = build_runner(config, 'first')
    hook = next(h for h in runner.hooks if isinstance(h, WholeCheckpointHook))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.getsignal(signal.SIGXFSZ)
    save = hook._save_checkpoint_with_step

    def fill_up_the_second_time(runner, step, meta):
        if step == 4:
            limit_files_to(100_000)
        save(runner, step, meta)

    hook._save_checkpoint_with_step = fill_up_the_second_time
    try:
        with pytest.raises(OSError, match=r'File too large: .* Nothing that was saved before'):
            runner.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    work = tmp_path / 'work'
    assert sorted(p.name for p in work.glob('*.pth')) == ['iter_2.pth']
    assert find_checkpoint(work).endswith('iter_2.pth')
    assert not list(work.glob(f'.*{PARTIAL}'))
    config.resume, config.load_from = True, find_checkpoint(work)
    resumed = build_runner(config, 'second')
    resumed.train()
    assert sorted(p.name for p in work.glob('*.pth')) == ['iter_4.pth']
    straight = rooms_config(tmp_path, options_of(4, 2), work='straight')
    build_runner(straight, 'third').train()
    expected = load_safely(tmp_path / 'straight/iter_4.pth')['state_dict']
    got = load_safely(work / 'iter_4.pth')['state_dict']
    assert set(got) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize('iterations', [2, 4])  # the first validation is the last one, or not
def test_a_validation_cut_short_is_rerun(iterations, tmp_path, monkeypatch):
    """The best checkpoint is then that of a run that was not killed, and the last knows of it."""
    options = options_of(iterations, 2) | {
        'default_hooks.checkpoint.save_best': 'mIoU',
        'default_hooks.checkpoint.max_keep_ckpts': 1,
    }
    build_runner(rooms_config(tmp_path, options, work='straight'), 'straight').train()
    config = rooms_config(tmp_path, options)
    runner = build_runner(config, 'killed')
    monkeypatch.setattr(runner.val_evaluator, 'evaluate', lambda size: 1 / 0)
    runner._val_loop.evaluator = runner.val_evaluator
    with pytest.raises(ZeroDivisionError):
        runner.train()
    names = {p.name for p in (tmp_path / 'work').glob('*.pth')}
    assert names == {'iter_2.pth'}  # no best one yet
    config.resume, config.load_from = True, find_checkpoint(tmp_path / 'work')
    build_runner(config, 'resumed').train()
    straight, work = tmp_path / 'straight', tmp_path / 'work'
    assert {p.name for p in work.glob('*.pth')} == {p.name for p in straight.glob('*.pth')}
    assert list(straight.glob('best_mIoU_iter_*.pth'))
    for path in straight.glob('*.pth'):
        expected, got = load_safely(path), load_safely(work / path.name)
        assert got['message_hub']['runtime_info'].get('best_score') == \
            expected['message_hub']['runtime_info'].get('best_score')  # fmt: skip
        for name, value in expected['state_dict'].items():
            torch.testing.assert_close(got['state_dict'][name], value, rtol=0, atol=0, msg=name)


def test_a_copied_run_goes_on_and_leaves_the_original_alone(tmp_path, monkeypatch):
    """mmengine would remove the original's best checkpoint, and keep the copy's."""
    options = {'default_hooks.checkpoint.save_best': 'mIoU'}
    better = iter([1.0, 2.0])
    monkeypatch.setattr(Evaluator, 'evaluate', lambda self, size: {'mIoU': next(better)})
    build_runner(rooms_config(tmp_path, options_of(2, 2) | options), 'original').train()
    shutil.copytree(tmp_path / 'work', tmp_path / 'copy')
    before = {p.name for p in (tmp_path / 'work').iterdir()}
    assert 'best_mIoU_iter_2.pth' in before
    config = rooms_config(tmp_path, options_of(4, 2) | options, work='copy')
    config.resume, config.load_from = True, find_checkpoint(tmp_path / 'copy')
    build_runner(config, 'copy').train()
    assert {p.name for p in (tmp_path / 'work').iterdir()} == before
    best = [p.name for p in (tmp_path / 'copy').glob('best*')]
    assert best == ['best_mIoU_iter_4.pth']
    assert find_checkpoint(tmp_path / 'copy') == str(tmp_path / 'copy/iter_4.pth')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'cannot be read; was it copied in full'),
        (b'PK\3\4 half', 'cannot be read; was it copied in full'),
        (b'no checkpoint at all', 'holds more than tensors|cannot be read'),
    ],
)
def test_a_broken_checkpoint_is_named(tmp_path, content, message):
    path = tmp_path / 'iter_1.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_safely(path)
    assert str(path) in str(caught.value)


def test_a_truncated_checkpoint_and_an_empty_pointer_are_named(tmp_path):
    path = tmp_path / 'iter_1.pth'
    torch.save({'state_dict': {'a': torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r'iter_1\.pth \(2000 bytes\) cannot be read'):
        load_safely(path)
    (tmp_path / 'last_checkpoint').write_text('')
    with pytest.raises(FileNotFoundError, match='last_checkpoint is empty'):
        find_checkpoint(tmp_path)
