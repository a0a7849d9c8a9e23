"""Threshold hook: keeps, in the model, the thresholds that validation chose."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mango_mm.registry import HOOKS

__all__ = ['ThresholdHook']


@HOOKS.register_module()
class ThresholdHook(Hook):
    """Copies the thresholds of ``MultiLabelScores`` into the head after every validation.

    It runs before the checkpoint hook saves the best model of that validation, which thereby
    has its own thresholds. A checkpoint saved by interval has those of the validation before.
    """

    priority = 'NORMAL'

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for metric in runner.val_evaluator.metrics:
            chosen = getattr(metric, 'thresholds', None)
            if chosen is None:
                continue
            values = torch.as_tensor(chosen, dtype=torch.float32)
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                # Only the main process has all scores.
                values = values.to(model.head.thresholds.device)
                torch.distributed.broadcast(values, 0)
            model.head.thresholds.copy_(values)
