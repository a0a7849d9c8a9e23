"""mmengine's Runner with a console that a person can read.

What a run logs before its first iteration is some 700 lines: the environment, the whole config, a
table of hooks, three lines for every parameter without weight decay. They stay in the log file; on
the console each is one line. Warnings of the hosts about themselves, which mean nothing to whoever
trains, are left out of the console.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.runner import Runner

__all__ = ['ConsoleRunner', 'quiet_hosts']

# Logged by the hosts: what is said instead; None: nothing.
SHORT: tuple[tuple[str, str | None], ...] = (
    (r'^\n-+\nSystem environment', '{environment}'),
    (r'^Config:\n', 'config: in {work_dir}, and in the log file'),
    (r'^Hooks will be executed in the following order', 'hooks: {hooks}'),
    (r'^paramwise_options -- ', None),
    (r'^Distributed training is not used, all SyncBatchNorm', None),
    (r'^The prefix is not set in metric class', None),
    (r'^"FileClient" will be deprecated', None),
    (r'^"HardDiskBackend" is the alias', None),
)
# Python warnings of the hosts about themselves, by how they begin.
WARNINGS = (
    r'``build_loss`` would be deprecated soon',
    r'Default ``avg_non_ignore`` is False',
    r'The draw is False, it means that the hook',
    r'``torch\.cuda\.amp\.',
)


@contextlib.contextmanager
def quiet_hosts() -> Iterator[None]:
    """Leave out the hosts' warnings about themselves, here and in data workers made here."""
    with warnings.catch_warnings():
        for message in WARNINGS:
            warnings.filterwarnings('ignore', message=message)
        yield


class ConsoleRunner(Runner):
    """The Runner of ``tools/train.py`` and ``tools/test.py``: mmengine's but for the console.

    The log file has every line.
    """

    def build_logger(self, *args: Any, **options: Any) -> Any:
        logger = super().build_logger(*args, **options)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:  # a file's is derived from it
                handler.addFilter(_Shortened(self, handler))
        return logger


class _Shortened(logging.Filter):
    """Lets a handler say in one line what takes a page."""

    def __init__(self, runner: Runner, handler: logging.Handler) -> None:
        super().__init__()
        self.runner, self.handler = runner, handler

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        for pattern, short in SHORT:
            if not re.match(pattern, message):
                continue
            if short is not None:
                said = copy.copy(record)
                said.msg, said.args = self._filled(short), ()
                self.handler.emit(said)
            return False
        return True

    def _filled(self, short: str) -> str:
        hooks = [type(h).__name__ for h in getattr(self.runner, '_hooks', ())]
        gpus = torch.cuda.device_count()
        where = f'{gpus} x {torch.cuda.get_device_name(0)}' if gpus else 'CPU'
        seed = (self.runner.cfg.get('randomness') or {}).get('seed')
        return short.format(
            work_dir=self.runner.work_dir,
            hooks=', '.join(hooks),
            environment=f'torch {torch.__version__}, {where}, seed {seed}',
        )
