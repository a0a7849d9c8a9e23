"""One, two and four gloo processes walk down the same loss curve; a rank that dies ends the run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from faults import assert_same
from rooms import MANGO, ROOT, environment, make_rooms

from mango_mm.checkpoints import find_checkpoint, load_safely

pytestmark = pytest.mark.slow

CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['mango_mm', 'curve'], allow_failed_imports=False)
# No batch norm and no chance: then a batch is the mean of its parts, in any number of processes.
model = dict(
    decode_head=dict(norm_cfg=dict(type='GN', num_groups=4), dropout_ratio={dropout}),
    neck=dict(fusion=dict(recipe=['actnorm', 'mmca', 'imca', 'lica', 'coupling'])),
)
train_dataloader = dict(
    batch_size={batch}, num_workers={workers}, persistent_workers=False,
    dataset=dict(pipeline={{{{_base_.{pipeline}}}}}),
)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters={iterations}, val_interval={every})
default_hooks = dict(checkpoint=dict(interval={every}), logger=dict(interval=1))
custom_hooks = [
    dict(type='CurveHook'),
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.FiniteLossHook'),
]
"""
BATCH, ITERATIONS = 4, 6
STEADY = dict(dropout=0.0, pipeline='test_pipeline', workers=0)
CHANCE = dict(dropout=0.5, pipeline='train_pipeline', workers=1)


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return make_rooms(tmp_path_factory.mktemp('rooms'))


def config_for(folder, processes, iterations=ITERATIONS, every=3, chance=STEADY):
    path = folder / f'config{processes}.py'
    values = dict(batch=BATCH // processes, iterations=iterations, every=every, **chance)
    path.write_text(CONFIG.format(base=str(MANGO), **values))
    return path


def command_for(folder, processes, *arguments, work=None, **options):
    tool = [ROOT / 'tools/train.py', config_for(folder, processes, **options)]
    tool += ['--work-dir', folder / (work or f'run{processes}'), *arguments]
    return command_of(tool, processes)


def command_of(tool, processes):
    if processes > 1:
        launch = ['-m', 'torch.distributed.run', f'--nproc_per_node={processes}', '--standalone']
        tool = [*launch, *tool, '--launcher', 'pytorch']
    return [sys.executable, '-W', 'ignore', *map(str, tool)]


def environment_for(rooms, folder, processes):
    env = environment(rooms)
    env['PYTHONPATH'] = f'{Path(__file__).parent}{os.pathsep}{env["PYTHONPATH"]}'
    return {**env, 'CURVE_FILE': str(folder / f'curve{processes}.jsonl')}


def train(rooms, folder, processes):
    done = subprocess.run(
        command_for(folder, processes), env=environment_for(rooms, folder, processes),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / f'curve{processes}.jsonl').read_text().splitlines()
    curve = [json.loads(line) for line in lines]
    assert len(curve) == ITERATIONS
    scores = [
        json.loads(x)
        for file in (folder / f'run{processes}').glob('*/vis_data/scalars.json')
        for x in file.read_text().splitlines()
        if 'mIoU' in x
    ]
    saved = load_safely(folder / f'run{processes}' / f'iter_{ITERATIONS}.pth')['state_dict']
    return curve, [{k: s[k] for k in ('mIoU', 'aAcc', 'nll_per_dim')} for s in scores], saved


def test_one_two_and_four_processes_give_one_curve(rooms, tmp_path, reliability):
    alone, scores, weights = train(rooms, tmp_path, 1)
    flags = [v for k, v in weights.items() if k.endswith('initialised')]
    assert flags
    assert all(flags)
    assert alone[0]['loss'] > alone[-1]['loss']
    for processes in reliability.scale(short=(2,), full=(2, 4)):
        curve, got_scores, got = train(rooms, tmp_path, processes)
        apart = max(abs(a['loss'] - b['loss']) / a['loss'] for a, b in zip(alone, curve))
        assert apart <= 1e-4, [(a['loss'], b['loss']) for a, b in zip(alone, curve)]
        for one, other in zip(scores, got_scores):
            assert other == pytest.approx(one, rel=2e-3, abs=0.05)
        for name, value in weights.items():
            # AdamW divides tiny gradients by their own size, which lets rounding through.
            torch.testing.assert_close(got[name], value, rtol=2e-2, atol=2e-3, msg=name)
        sent = {c['bytes'] for c in curve[1:]}
        learnt = 4 * sum(v.numel() for k, v in weights.items() if is_parameter(k))
        assert len(sent) == 1
        assert sent.pop() == pytest.approx(learnt, rel=0.01)
        reliability.cases()
        reliability.note(
            f'{processes} processes: losses apart by {apart:.0e}; every step reduces '
            f'{learnt / 1e6:.2f} MB of gradients'
        )


def is_parameter(name):
    return not name.endswith(('running_mean', 'running_var', 'num_batches_tracked', 'initialised'))


FSDP = """
_base_ = [{base!r}, {fsdp!r}]
model = dict(neck=dict(fusion=dict(recipe={recipe}, depth={depth}, with_cp=True)))
"""


def test_fsdp_trains_the_deep_flow_like_one_process(rooms, tmp_path, reliability):
    """L = 16 with gradient checkpointing, resumed once; its checkpoint is an ordinary one."""
    recipe = ['mmca', 'imca', 'lica', 'coupling']
    depth = reliability.scale(short=2, full=16)
    curves, states = {}, {}
    for processes in (1, 2):
        plain = config_for(tmp_path, processes, iterations=3, every=2)
        config = tmp_path / f'deep{processes}.py'
        # The same runner for both, which draws the same first weights.
        alone = FSDP.replace(', {fsdp!r}', '') + "strategy = dict(type='SingleDeviceStrategy')\n"
        given = FSDP if processes > 1 else alone
        fsdp = str(ROOT / 'configs/_base_/fsdp.py')
        config.write_text(given.format(base=str(plain), fsdp=fsdp, recipe=recipe, depth=depth))
        work = tmp_path / f'deep{processes}'
        command = [ROOT / 'tools/train.py', config, '--work-dir', work]
        command = command_of(command, processes)
        env = environment_for(rooms, tmp_path, f'deep{processes}')
        parts = [command]
        if processes > 1:
            parts = [[*command, '--cfg-options', 'train_cfg.max_iters=2'], [*command, '--resume']]
        for part in parts:
            done = subprocess.run(part, env=env, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr[-3000:]
        assert ('resumed epoch: 0, iter: 2' in done.stdout + done.stderr) == (processes > 1)
        lines = (tmp_path / f'curvedeep{processes}.jsonl').read_text().splitlines()
        curves[processes] = [json.loads(line)['loss'] for line in lines]
        states[processes] = load_safely(find_checkpoint(work))
        assert find_checkpoint(work) == str(work / 'iter_3.pth')
        assert not list(work.glob('.*.partial'))
    assert curves[2] == pytest.approx(curves[1], rel=1e-4)
    assert set(states[2]) >= {'state_dict', 'optimizer', 'meta', 'message_hub'}
    wanted = states[1]['state_dict']
    assert set(states[2]['state_dict']) == set(wanted)
    for name, value in states[2]['state_dict'].items():
        torch.testing.assert_close(value, wanted[name], rtol=2e-2, atol=2e-3, msg=name)
    # One of them by names, the other by numbers.
    moments = {n: list(s['optimizer']['state'].values()) for n, s in states.items()}
    assert {float(m['step']) for m in moments[2]} == {3.0}
    sizes = [sorted(m['exp_avg'].norm().item() for m in moments[n]) for n in (1, 2)]
    assert max(sizes[0]) > 1e-3
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-2, abs=1e-5)
    reliability.cases()


def test_a_rank_that_dies_ends_the_run_which_resumes_to_the_same(rooms, tmp_path, reliability):
    env = environment_for(rooms, tmp_path, 2)
    run = subprocess.Popen(
        command_for(tmp_path, 2, iterations=200, every=3, chance=CHANCE), env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pointer = tmp_path / 'run2' / 'last_checkpoint'
    deadline = time.monotonic() + 200
    while not pointer.exists():
        assert time.monotonic() < deadline, 'no checkpoint'
        assert run.poll() is None, 'it ended by itself'
        time.sleep(0.1)
    children = subprocess.run(
        ['ps', '--ppid', str(run.pid), '-o', 'pid='], capture_output=True, text=True
    )
    ranks = [int(pid) for pid in children.stdout.split()]
    assert len(ranks) == 2
    begin = time.monotonic()
    os.kill(ranks[1], signal.SIGKILL)
    reliability.faults('rank')
    _, said = run.communicate(timeout=90)
    assert run.returncode != 0
    assert 'Signal 9 (SIGKILL)' in said
    waited = time.monotonic() - begin
    for pid in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    saved = Path(pointer.read_text())
    position = load_safely(saved)['meta']['iter']
    final = {}
    for work, options in (('run2', ['--resume']), ('straight', [])):
        command = command_for(
            tmp_path, 2, *options, work=work, iterations=position + 3, every=3, chance=CHANCE
        )
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        assert (f'resumed epoch: 0, iter: {position}' in done.stdout + done.stderr) == bool(options)
        final[work] = load_safely(tmp_path / work / f'iter_{position + 3}.pth')
    ranks = [s['cpu'] for s in final['straight']['mango_random_state']['ranks']]
    assert len(ranks) == 2
    assert not torch.equal(*ranks)
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'mango_random_state'):
        assert_same(final['run2'][key], final['straight'][key], key)
    reliability.note(
        f'a dead rank ended the run after {waited:.0f} s; resumed at {position} it ended '
        'bit for bit like a run that was left in peace'
    )
