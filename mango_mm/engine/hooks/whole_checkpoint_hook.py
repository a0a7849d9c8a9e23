"""Whole checkpoint hook: a run may be killed at any moment and loses nothing.

What mmengine's own hook (0.10.7) does, and what goes wrong on bad days:

* it writes a checkpoint in place: a kill or a full disk leaves half a file, and with
  ``save_best`` the only last checkpoint is overwritten from inside the validation;
* it removes outdated checkpoints *before* it writes the new one: with ``max_keep_ckpts=1`` a
  full disk leaves none at all;
* a run killed between a checkpoint and the end of the validation that follows never makes up
  for that validation, so that its best checkpoint may differ;
* a resumed run does not know its last checkpoint until it writes one, and takes the best one
  for where it once was: resumed from a copy it removes the original's.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, FlexibleRunner, IterBasedTrainLoop, Runner

from mango_mm.engine.whole_files import (
    PARTIAL,
    WholeFileBackend,
    remove_partial_files,
    write_whole,
)
from mango_mm.registry import HOOKS

__all__ = ['WholeCheckpointHook']

VALIDATED = 'position_validated'  # not val...: mmengine would log it as a score
OUTDATED = 'outdated_ckpts'


class _RemoveLater(WholeFileBackend):
    """Remembers what is to be removed until something newer is on the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.outdated: list[str] = []

    def remove(self, filepath: str) -> None:
        self.outdated.append(str(filepath))

    rmtree = remove


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's :class:`~mmengine.hooks.CheckpointHook`, safe against kills and full disks.

    Checkpoints, and the file ``last_checkpoint`` that names the newest, are written whole or
    not at all; outdated ones are removed once the new one is on the disk; a validation that was
    due when a run was killed is rerun when it resumes. Checkpoints on a remote storage
    (``backend_args``, ``out_dir`` with a protocol) are left to that storage.

    Arguments are mmengine's.

    Raises:
        OSError: In training, if a checkpoint cannot be written.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:
            self.file_backend = _RemoveLater()
            self.backend_args = dict(backend='mango_mm.whole_files')
            if runner._resume:
                for name in runner.message_hub.runtime_info.get(OUTDATED, ()):
                    self.file_backend.remove(os.path.join(self.out_dir, name))
                self._remove_outdated()
            if is_main_process() and (left := remove_partial_files(self.out_dir)):
                runner.logger.warning(
                    f'removed {len(left)} checkpoint(s) that an earlier run was killed while '
                    f'writing: {", ".join(left)}'
                )
        if runner._resume:
            self._take_over(runner)
            if self._validation_is_due(runner):
                runner.logger.info(
                    f'The validation at {_position(runner)[0]} was not finished before the run '
                    'stopped; it comes first.'
                )
                runner.val_loop.run()

    def _take_over(self, runner: Runner) -> None:
        """The run's own files, under this work dir, where it has been moved or copied."""

        def here(key: str) -> str | None:
            path = runner.message_hub.runtime_info.get(key)
            return path and os.path.join(self.out_dir, os.path.basename(path))

        # Without it mmengine writes no best score into the last checkpoint.
        self.last_ckpt = here('last_ckpt')
        if self.save_best and len(self.key_indicators) == 1:
            self.best_ckpt_path = here('best_ckpt')
        elif self.save_best:
            self.best_ckpt_path_dict = {k: here(f'best_ckpt_{k}') for k in self.key_indicators}

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        if isinstance(runner._train_loop, BaseLoop):  # not where a checkpoint is only validated
            runner.message_hub.update_info(VALIDATED, _position(runner)[0])
        super().after_val_epoch(runner, metrics)
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if self.save_best:
            runner.call_hook('before_checkpoint_on_all_ranks')
        super()._save_best_checkpoint(runner, metrics)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        runner.call_hook('before_checkpoint_on_all_ranks')
        if not isinstance(self.file_backend, _RemoveLater):
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        # Not mmengine's: it truncates last_checkpoint before it writes the new name.
        name = self.filename_tmpl.format(step)
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                old = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self.file_backend.remove(os.path.join(self.out_dir, old))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self.last_ckpt = os.path.join(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        # So that a run killed before they are removed removes them when it resumes.
        names = [os.path.basename(path) for path in self.file_backend.outdated]
        runner.message_hub.update_info(OUTDATED, names)
        # A FlexibleRunner's strategy writes where and how it likes: under another name first.
        flexible = isinstance(runner, FlexibleRunner)
        runner.save_checkpoint(
            self.out_dir,
            f'.{name}{PARTIAL}' if flexible else name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if flexible:
            self._rename(name)
        if is_main_process():
            write_whole(os.path.join(runner.work_dir, 'last_checkpoint'), self.last_ckpt.encode())
        self._remove_outdated()

    def _rename(self, name: str) -> None:
        barrier()  # every rank may have written a part of it
        whole = os.path.join(self.out_dir, name)
        if is_main_process():
            if os.path.isdir(whole):  # the same iteration, written once more
                shutil.rmtree(whole)
            os.replace(os.path.join(self.out_dir, f'.{name}{PARTIAL}'), whole)
        barrier()

    def _remove_outdated(self) -> None:
        if not isinstance(self.file_backend, _RemoveLater):
            return
        kept = {str(self.last_ckpt), str(getattr(self, 'best_ckpt_path', None))}
        kept |= {str(p) for p in getattr(self, 'best_ckpt_path_dict', {}).values()}
        while self.file_backend.outdated:
            path = self.file_backend.outdated.pop()
            if not is_main_process() or path in kept:
                continue
            if os.path.isdir(path):  # of sharded checkpoints
                shutil.rmtree(path)
            elif os.path.isfile(path):
                os.remove(path)

    def _validation_is_due(self, runner: Runner) -> bool:
        at, end = _position(runner)
        loop = runner.train_loop
        if runner.val_loop is None or at == 0 or at < loop.val_begin:
            return False
        if runner.message_hub.runtime_info.get(VALIDATED) == at:
            return False
        return at % loop.val_interval == 0 or at == end


def _position(runner: Runner) -> tuple[int, int]:
    """Where the training is and where it ends, in iterations or epochs, as its loop counts."""
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        return loop.iter, loop.max_iters
    return loop.epoch, loop.max_epochs
