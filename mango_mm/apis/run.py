"""Training and testing through mmengine's Runner."""

from __future__ import annotations

import copy
import gc
import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import FlexibleRunner, Runner

from mango_mm.checkpoints import find_checkpoint, load_weights

__all__ = ['leave_process_group', 'load_config', 'load_weights', 'test', 'train']


def load_config(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config and set where it works and how it is launched.

    Args:
        config: A file, or a config already read (copied, not changed).
        work_dir: Where logs and checkpoints go; None: what the config says, else
            ``work_dirs/<name of the file>``.
        options: Values to override, keys with dots: ``{'optim_wrapper.optimizer.lr': 1e-4}``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    if isinstance(config, Config):
        read = copy.deepcopy(config)
    else:
        if not osp.isfile(config):
            raise FileNotFoundError(f'config file {config} does not exist.')
        read = Config.fromfile(config)
    if options:
        read.merge_from_dict(dict(options))
    read.launcher = launcher
    if work_dir is not None:
        read.work_dir = str(work_dir)
    elif read.get('work_dir') is None:
        stem = Path(read.filename).stem if read.filename else 'unnamed'
        read.work_dir = osp.join('work_dirs', stem)
    return read


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    resume: bool | str = False,
    amp: bool = False,
) -> Runner:
    """Train as a config says.

    Args:
        config: A file or a config.
        work_dir: See :func:`load_config`.
        options: See :func:`load_config`.
        launcher: See :func:`load_config`.
        resume: Go on from the newest checkpoint of the work dir, or from the one
            named; weights, optimiser, schedule and random state.
        amp: Mixed precision. The flow keeps float32.

    Returns:
        The runner after training; a ``FlexibleRunner`` if the config has a ``strategy``.
    """
    read = load_config(config, work_dir=work_dir, options=options, launcher=launcher)
    if amp:
        read.optim_wrapper.type = 'AmpOptimWrapper'
        read.optim_wrapper.setdefault('loss_scale', 'dynamic')
    read.resume = bool(resume)
    if isinstance(resume, str):
        read.load_from = find_checkpoint(resume)
    elif resume and (Path(read.work_dir) / 'last_checkpoint').is_file():
        read.load_from = find_checkpoint(read.work_dir)  # also where the work dir was moved
    _prepare_cpu_processes(read)
    # A strategy (FSDP, ...) is FlexibleRunner's; mmengine calls that experimental.
    runner = (FlexibleRunner if read.get('strategy') else Runner).from_cfg(read)
    runner.train()
    return runner


def test(
    config: str | Path | Config,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    tta: bool = False,
    show_dir: str | Path | None = None,
) -> dict[str, float]:
    """Test a checkpoint as a config says.

    Args:
        config: A file or a config.
        checkpoint: A file, or a work dir's ``latest``: the newest checkpoint in it.
        work_dir: See :func:`load_config`.
        options: See :func:`load_config`.
        launcher: See :func:`load_config`.
        tta: Test-time augmentation, if the config has ``tta_model`` and ``tta_pipeline``.
        show_dir: Save a panel of every sample there.

    Returns:
        The metrics by name.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If ``tta`` or ``show_dir`` ask for what the config lacks.
    """
    read = load_config(config, work_dir=work_dir, options=options, launcher=launcher)
    read.load_from = find_checkpoint(checkpoint)
    read.resume = False
    if show_dir is not None:
        _show_in(read, Path(show_dir))
    if tta:
        if 'tta_model' not in read or 'tta_pipeline' not in read:
            raise ValueError('--tta needs tta_model and tta_pipeline in the config.')
        read.test_dataloader.dataset.pipeline = read.tta_pipeline
        read.tta_model.module = read.model
        read.model = read.tta_model
    _prepare_cpu_processes(read)
    runner = Runner.from_cfg(read)
    metrics: dict[str, float] = runner.test()
    return metrics


def _show_in(config: Config, folder: Path) -> None:
    """Send the pictures of a test to a folder."""
    hooks = {h['type'].rsplit('.', maxsplit=1)[-1]: h for h in config.get('custom_hooks', ())}
    if 'PanelHook' in hooks:
        hooks['PanelHook'].test_dir = str(folder)
    elif 'BasicVisualizationHook' in hooks:  # mmagic's, which draws by the visualizer
        config.visualizer.save_dir = str(folder)
    else:
        raise ValueError(
            '--show-dir needs a mango_mm.PanelHook or a BasicVisualizationHook in custom_hooks '
            'of the config.'
        )


def _prepare_cpu_processes(config: Config) -> None:
    """Let several processes train without a GPU: mmengine assumes one per process.

    gloo instead of nccl, no device per process, and plain batch norm: torch's
    synchronised one needs a GPU.
    """
    if config.launcher != 'pytorch' or torch.cuda.is_available():
        return
    torch.distributed.init_process_group('gloo')
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    config.setdefault('model_wrapper_cfg', wrapper).setdefault('device_ids', None)
    _replace_sync_batch_norm(config.model)


def leave_process_group() -> None:
    """End what a launcher began, once all processes are through.

    Left to the interpreter's exit, gloo's threads now and then outlive their owner, and a
    run that has done all its work ends with an abort.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        gc.collect()  # a runner is in cycles, and its model holds the group
        torch.distributed.destroy_process_group()


def _replace_sync_batch_norm(node: Any) -> None:
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        for value in node.values():
            _replace_sync_batch_norm(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _replace_sync_batch_norm(value)
