"""A process that has imported everything once and forks trainings, so that kills are cheap.

Reads one JSON object a line: ``{"task", "data", "work", "iterations", "every", "fault"}``, and
answers with the process id, and, once the training has ended, with its wait status and the last
lines of its log. It computes nothing itself: OpenMP's threads do not survive a fork.

A fault is ``null`` or ``{"kind", "nth", ...}``; kinds are in ``FAULTS``. Faults strike inside the
training, at the moment named; kills at random times come from outside.
"""

import errno
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from mango_mm.apis import load_config  # noqa: E402
from mango_mm.checkpoints import find_checkpoint  # noqa: E402
from mango_mm.engine import whole_files  # noqa: E402

CONFIGS = {
    'segmentation': 'configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py',
    'translation': 'configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py',
    'movies': 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py',
}
ROOTS = {
    'segmentation': 'MANGO_MINI_ROOMS',
    'translation': 'MANGO_MINI_TASKONOMY',
    'movies': 'MANGO_MINI_MOVIES',
}
FAULTS = ('write', 'full', 'step', 'val', 'worker')


def config_of(order):
    os.environ[ROOTS[order['task']]] = order['data']
    config = load_config(ROOT / CONFIGS[order['task']], work_dir=order['work'])
    config.train_cfg.max_iters = order['iterations']
    config.train_cfg.val_interval = config.default_hooks.checkpoint.interval = order['every']
    config.default_hooks.checkpoint.max_keep_ckpts = 1  # the harder case
    config.default_hooks.logger.interval = 1
    config.default_hooks.pop('visualization', None)
    for split in ('train', 'val', 'test'):
        loader = config[f'{split}_dataloader']
        loader.batch_size, loader.num_workers = 2, 2 if split == 'train' else 0
        loader.persistent_workers = False
    drawn = 'BasicVisualizationHook'  # pictures take longer than all the rest
    config.custom_hooks = [h for h in config.custom_hooks if not h['type'].endswith(drawn)]
    return config


def kill_self(*args):
    os.kill(os.getpid(), signal.SIGKILL)


class Strike(Hook):
    """Kills this process at the n-th step or validation batch, or a worker before a step."""

    priority = 'LOWEST'

    def __init__(self, fault):
        self.fault, self.left = fault, fault['nth']

    def _count(self, kind):
        if self.fault['kind'] != kind:
            return False
        self.left -= 1
        return self.left == 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self._count('worker'):
            iterator = runner.train_loop.dataloader_iterator._iterator
            os.kill(iterator._workers[0].pid, signal.SIGKILL)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self._count('val'):
            kill_self()

    def arm(self, runner):
        """Between the backward pass and the step; only once there is an optimiser."""
        if self.fault['kind'] == 'step':
            wrapper = runner.optim_wrapper
            step = wrapper.step
            wrapper.step = lambda **k: kill_self() if self._count('step') else step(**k)

    before_train = arm


def break_writing(fault):
    """The n-th file written whole is the last one: killed while writing, or no space left."""
    whole, left = whole_files.write_whole, [fault['nth']]

    def write(path, content):
        left[0] -= 1
        if left[0]:
            return whole(path, content)
        if fault['kind'] == 'full':

            def refuse(descriptor):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            os.fsync = refuse
        elif fault['moment'] == 'half':
            beside = Path(path).with_name(f'.{Path(path).name}.{os.getpid()}.partial')
            beside.write_bytes(content[: len(content) // 2])
            kill_self()
        elif fault['moment'] == 'after':
            whole(path, content)
            kill_self()
        else:
            setattr(os, fault['moment'], kill_self)
        return whole(path, content)

    whole_files.write_whole = write
    from mango_mm.engine.hooks import whole_checkpoint_hook

    whole_checkpoint_hook.write_whole = write


def train(order):
    torch.set_num_threads(1)
    config, fault = config_of(order), order['fault']
    config.resume = True
    if (Path(order['work']) / 'last_checkpoint').exists():
        config.load_from = find_checkpoint(order['work'])
    if fault and fault['kind'] in ('write', 'full'):
        break_writing(fault)
    runner = Runner.from_cfg(config)
    if fault and fault['kind'] in ('step', 'val', 'worker'):
        runner.register_hook(Strike(fault))
    runner.train()


def fork(order):
    log = Path(order['work']).with_suffix('.log')
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid, log
    code = 1
    try:
        os.setpgid(0, 0)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        random.seed(time.time_ns())
        train(order)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main():
    print(json.dumps({'ready': os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid, log = fork(order)
        print(json.dumps({'pid': pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        tail = log.read_text(errors='replace')[-3000:]
        print(json.dumps({'status': os.waitstatus_to_exitcode(status), 'log': tail}), flush=True)


if __name__ == '__main__':
    import mango_mm.datasets  # noqa: F401  # the forks need not import these again
    import mango_mm.engine.hooks  # noqa: F401
    import mango_mm.evaluation.metrics  # noqa: F401
    import mango_mm.models  # noqa: F401
    from mango_mm.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

    for registry in (DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS):
        registry.import_from_location()
    import mmagic.models  # noqa: F401
    import mmseg.models  # noqa: F401

    main()
