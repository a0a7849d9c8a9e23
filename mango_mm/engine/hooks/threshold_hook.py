"""Threshold hook: keeps, in the model, the thresholds that validation chose."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper

from mango_mm.checkpoints import load_safely
from mango_mm.engine.whole_files import write_whole
from mango_mm.registry import HOOKS

__all__ = ['ThresholdHook']


@HOOKS.register_module()
class ThresholdHook(Hook):
    """Copies the thresholds of ``MultiLabelScores`` into the head after every validation.

    It runs before the checkpoint hook saves the best model of that validation, which thereby
    has its own thresholds. The checkpoint of the same iteration was written before the
    validation, with those of the one before: they are replaced in the file.
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
            path = _saved_now(runner)
            if path is not None and is_main_process():
                kept = dict(model.named_buffers())
                (key,) = (name for name, x in kept.items() if x is model.head.thresholds)
                _replace(path, key, values.cpu())


def _saved_now(runner: Any) -> Path | None:
    """The checkpoint that was written at this iteration or epoch; None: there is none."""
    for hook in runner.hooks:
        last = getattr(hook, 'last_ckpt', None)
        if isinstance(hook, CheckpointHook) and last and Path(last).is_file():
            now = runner.epoch if hook.by_epoch else runner.iter
            if Path(last).name == hook.filename_tmpl.format(now):
                return Path(last)
    return None


def _replace(path: Path, key: str, values: torch.Tensor) -> None:
    saved = load_safely(path, map_location='cpu')
    saved['state_dict'][key] = values
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    write_whole(path, buffer.getvalue())
