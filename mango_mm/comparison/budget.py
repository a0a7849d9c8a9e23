"""A shorter training that still ends: its schedule, validations and checkpoints go with it."""

from __future__ import annotations

from typing import Any

__all__ = ['budget']

WARM_UP = 50  # iterations, of every schedule under configs/_base_/schedules that a demo has


def budget(iters: int, validations: int = 2) -> dict[str, Any]:
    """Overrides of a config whose ``param_scheduler`` is a warm-up and a decay.

    Without the scheduler's end a shortened run would stop at a rate that has hardly decayed.

    Args:
        iters: Iterations to train.
        validations: How many, at equal distances, each with a checkpoint.
    """
    interval = max(1, iters // validations)
    return {
        'train_cfg.max_iters': iters,
        'train_cfg.val_interval': interval,
        'default_hooks.checkpoint.interval': interval,
        'param_scheduler.1.end': max(iters, WARM_UP + 1),
    }
