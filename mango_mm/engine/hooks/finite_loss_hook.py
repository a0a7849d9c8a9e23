"""Finite loss hook: NaN stops a training and says where, or is skipped and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from mango_mm.registry import HOOKS

__all__ = ['FiniteLossHook']

SKIPPED = 'skipped_iterations'
NAMES = ('sample_id', 'img_path', 'key', 'ori_filename')  # what samples are known by


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Keeps weights finite.

    ``action='stop'``: raises where a loss is NaN or infinite, at the latest ``interval``
    iterations later, and before a checkpoint is written whose weights are not finite.

    ``action='skip'``: an optimiser step whose gradients are not finite is left out, on all
    ranks alike: weights, moments and step counts stay as they were, buffers that a norm layer
    spoilt are put back. The samples are named in the log and the steps counted, across resumes.
    More than ``max_skips`` in a row raise, for then it is not the data. Costs one look at the
    gradients in each step. In fp16 training the gradient scaler skips by itself, uncounted.

    Args:
        interval: Iterations between two looks at the losses; each waits for the device.
        action: ``'stop'`` or ``'skip'``.
        max_skips: Steps in a row that may be skipped.

    Raises:
        ValueError: If the interval or ``max_skips`` is not positive, or the action unknown.
        FloatingPointError: In training; names the losses or weights, the iteration, the samples
            and what to do.
    """

    priority = 'ABOVE_NORMAL'  # before anything is logged or saved

    def __init__(self, interval: int = 10, action: str = 'stop', max_skips: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'interval must be positive; got {interval}.')
        if max_skips < 1:
            raise ValueError(f'max_skips must be positive; got {max_skips}.')
        if action not in ('stop', 'skip'):
            raise ValueError(f"action must be 'stop' or 'skip'; got {action!r}.")
        self.interval = interval
        self.action = action
        self.max_skips = max_skips
        self.skipped = 0
        self._in_a_row = 0
        self._good = 0
        self._batch: Any = None
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._handles: list[Any] = []

    def before_train(self, runner: Any) -> None:
        if self.action != 'skip':
            return
        self.skipped = int(runner.message_hub.runtime_info.get(SKIPPED, 0))
        for optimizer in _optimizers(runner.optim_wrapper):
            self._handles.append(
                optimizer.register_step_pre_hook(lambda o, *_: self._look_at(o, runner))
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.action == 'skip':  # to be named, and put back
            self._batch = data_batch
            self._buffers = [
                (b, b.detach().clone()) for b in runner.model.buffers() if b.is_floating_point()
            ]

    def _look_at(self, optimizer: torch.optim.Optimizer, runner: Any) -> None:
        """Called by torch before each step: parameters without gradient are left alone by it."""
        parameters = [p for g in optimizer.param_groups for p in g['params'] if p.grad is not None]
        if not parameters:
            return
        norms = torch.stack([torch.linalg.vector_norm(p.grad.detach()) for p in parameters])
        broken = (~torch.isfinite(norms)).any().float()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(broken)  # shards of one gradient may differ
        if not broken:
            self._in_a_row = 0
            return
        for parameter in parameters:
            parameter.grad = None
        for buffer, before in self._buffers:
            if not torch.isfinite(buffer).all():
                buffer.copy_(before)
        self.skipped += 1
        self._in_a_row += 1
        runner.message_hub.update_info(SKIPPED, self.skipped)
        message = (
            f'iteration {runner.iter + 1}: gradients are not finite; the step is skipped '
            f'({self.skipped} so far). Samples: {_names(self._batch)}'
        )
        if self._in_a_row > self.max_skips:
            raise FloatingPointError(
                f'{message} More than max_skips={self.max_skips} in a row: look at the data and '
                'the learning rate, then go on from the last checkpoint with --resume.'
            )
        runner.logger.warning(message)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        last = self.is_last_train_iter(runner)
        if self.action == 'skip' or not (last or self.every_n_train_iters(runner, self.interval)):
            return
        found = {k: torch.as_tensor(v) for k, v in (outputs or {}).items() if 'loss' in k}
        losses = {k: v.detach().float() for k, v in found.items()}
        wrong = {k: float(v.mean()) for k, v in losses.items() if not torch.isfinite(v).all()}
        if wrong:
            raise FloatingPointError(
                f'{wrong} at iteration {runner.iter + 1}; at iteration {self._good} all losses '
                'were finite. Look at the data, lower the learning rate, or clip gradients; then '
                'go on from the last checkpoint with --resume. Samples of this iteration: '
                f'{_names(data_batch)}'
            )
        self._good = runner.iter + 1

    def before_save_checkpoint(self, runner: Any, checkpoint: Mapping[str, Any]) -> None:
        # An attention mask may well be a buffer that holds -inf.
        weights = {n for n, _ in getattr(runner.model, 'module', runner.model).named_parameters()}
        for name, value in checkpoint['state_dict'].items():
            wrong = ~torch.isfinite(value) if name in weights else torch.isnan(value)
            if wrong.any():
                raise FloatingPointError(
                    f'{name} holds values that are not finite at iteration {runner.iter + 1}; no '
                    'checkpoint is written. Look at the data, lower the learning rate, or clip '
                    'gradients; then go on from the last checkpoint with --resume.'
                )

    def after_train(self, runner: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.skipped:
            runner.logger.warning(f'{self.skipped} optimiser steps were skipped for NaN.')


def _optimizers(wrapper: Any) -> Iterator[torch.optim.Optimizer]:
    """Of an OptimWrapper, or of an OptimWrapperDict, which is both mapping and wrapper."""
    if hasattr(wrapper, 'optim_wrappers'):
        for inner in wrapper.optim_wrappers.values():
            yield from _optimizers(inner)
    else:
        yield wrapper.optimizer


def _names(batch: Any) -> str:
    """What the samples of a batch are known by, as far as its layout tells."""
    samples = batch.get('data_samples', ()) if isinstance(batch, Mapping) else ()
    names = []
    for sample in samples if isinstance(samples, (list, tuple)) else (samples,):
        info = getattr(sample, 'metainfo', sample)
        if isinstance(info, Mapping):
            names += [str(info[k]) for k in NAMES if info.get(k) is not None][:1]
    return f'{", ".join(names)}.' if names else 'unknown.'
