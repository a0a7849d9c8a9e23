"""Random state hook: a resumed run draws what the uninterrupted one would have drawn.

mmengine saves no random state, so that dropout after a resume differs. Data need no
state: on resume mmengine replays the loader from its seed up to the iteration reached.
Validation lies between a checkpoint and the next iteration and is not repeated on resume;
so what it draws (its loader alone draws a seed) is given back afterwards.

mmengine also seeds all ranks alike, for equal first weights, and leaves it at that: the n-th
sample of every rank gets the same dropout and loses the same modality.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mango_mm.registry import HOOKS

__all__ = ['RandomStateHook']

KEY = 'mango_random_state'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves torch's generators with each checkpoint and restores them on resume.

    Ranks draw different numbers from the first iteration on.

    A run of several processes saves the generators of every rank, if its checkpoints are
    written by :class:`~mango_mm.engine.hooks.WholeCheckpointHook`, which asks all ranks first;
    mmengine's own hook asks rank 0 alone. A rank without a saved state (so, or because more
    processes resume than were there) is seeded from rank 0's and its number, so that ranks
    stay different from each other.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Any] | None = None  # loaded, to be restored
        self._ranks: list[dict[str, Any]] | None = None  # collected, to be saved
        self._before_val: tuple[Any, ...] | None = None
        self._apart = False  # ranks were seeded alike, and not yet apart

    def before_checkpoint_on_all_ranks(self, runner: Runner) -> None:
        """Called by ``WholeCheckpointHook``; ``before_save_checkpoint`` is rank 0's alone."""
        self._ranks = all_gather_object(self._state()) if get_world_size() > 1 else None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._pending is not None:  # a validation rerun before the first iteration
            checkpoint[KEY] = self._pending
            return
        checkpoint[KEY] = self._state()
        if self._ranks is not None:
            checkpoint[KEY]['ranks'], self._ranks = self._ranks, None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if runner._resume:
            self._pending = checkpoint.get(KEY)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        # Not earlier: building the loader and replaying it draws numbers too.
        if self._pending is None:
            if get_rank() and not self._apart:
                torch.manual_seed(torch.initial_seed() + get_rank())
            self._apart = True
            return
        saved, self._pending, self._apart = self._pending, None, True
        rank, ranks = get_rank(), saved.get('ranks', [saved])
        state = ranks[rank] if rank < len(ranks) else saved
        torch.set_rng_state(state['cpu'].cpu())
        if state['cuda'] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state['cuda'].cpu())
        if rank >= len(ranks):
            torch.manual_seed(torch.initial_seed() + rank + runner.iter)

    def before_val(self, runner: Runner) -> None:
        self._before_val = (torch.get_rng_state(), np.random.get_state(), random.getstate())

    def after_val(self, runner: Runner) -> None:
        if self._before_val is not None:
            torch.set_rng_state(self._before_val[0])
            np.random.set_state(self._before_val[1])
            random.setstate(self._before_val[2])
            self._before_val = None

    def _state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        # With save_best the last checkpoint is written again from inside the validation.
        cpu = torch.get_rng_state() if self._before_val is None else self._before_val[0]
        return {'cpu': cpu, 'cuda': cuda}
