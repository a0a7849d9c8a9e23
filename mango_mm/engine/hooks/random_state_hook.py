"""Random state hook: a resumed run draws what the uninterrupted one would have drawn.

mmengine saves no random state, so that dropout after a resume differs. Data need no
state: on resume mmengine replays the loader from its seed up to the iteration reached.
Validation lies between a checkpoint and the next iteration and is not repeated on resume;
so what it draws (its loader alone draws a seed) is given back afterwards.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mango_mm.registry import HOOKS

__all__ = ['RandomStateHook']

KEY = 'mango_random_state'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves torch's generators with each checkpoint and restores them on resume.

    The state saved is that of rank 0; the other ranks of a resumed run are seeded from
    it and their rank, so that ranks stay different from each other.
    """

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None
        self._before_val: tuple[Any, ...] | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._state is not None:  # a validation made up for before the first iteration
            checkpoint[KEY] = self._state
            return
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        # With save_best the last checkpoint is written again from inside the validation.
        cpu = torch.get_rng_state() if self._before_val is None else self._before_val[0]
        checkpoint[KEY] = {'cpu': cpu, 'cuda': cuda}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if runner._resume:
            self._state = checkpoint.get(KEY)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        # Not earlier: building the loader and replaying it draws numbers too.
        if self._state is None:
            return
        state, self._state = self._state, None
        torch.set_rng_state(state['cpu'].cpu())
        if state['cuda'] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state['cuda'].cpu())
        if get_rank():
            torch.manual_seed(torch.initial_seed() + get_rank() + runner.iter)

    def before_val(self, runner: Runner) -> None:
        self._before_val = (torch.get_rng_state(), np.random.get_state(), random.getstate())

    def after_val(self, runner: Runner) -> None:
        if self._before_val is not None:
            torch.set_rng_state(self._before_val[0])
            np.random.set_state(self._before_val[1])
            random.setstate(self._before_val[2])
            self._before_val = None
