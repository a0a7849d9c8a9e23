"""Finite loss hook: a training that has gone to NaN stops, and says where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook

from mango_mm.registry import HOOKS

__all__ = ['FiniteLossHook']


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raises where a loss is NaN or infinite, before such weights are saved.

    A gradient that is not finite spoils the weights, and thereby the loss of the next iteration.

    Args:
        interval: Iterations between two looks; each waits for the device.

    Raises:
        ValueError: If the interval is not positive.
        FloatingPointError: In training; names the losses, the iteration and what to do.
    """

    priority = 'ABOVE_NORMAL'  # before anything is logged or saved

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'interval must be positive; got {interval}.')
        self.interval = interval
        self._good = 0

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        last = self.is_last_train_iter(runner)
        if not (last or self.every_n_train_iters(runner, self.interval)):
            return
        found = {k: torch.as_tensor(v) for k, v in (outputs or {}).items() if 'loss' in k}
        losses = {k: v.detach().float() for k, v in found.items()}
        wrong = {k: float(v.mean()) for k, v in losses.items() if not torch.isfinite(v).all()}
        if wrong:
            raise FloatingPointError(
                f'{wrong} at iteration {runner.iter + 1}; at iteration {self._good} all losses '
                'were finite. Look at the data, lower the learning rate, or clip gradients; then '
                'go on from the last checkpoint with --resume.'
            )
        self._good = runner.iter + 1
