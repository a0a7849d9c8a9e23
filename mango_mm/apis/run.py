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
from mmengine.registry import init_default_scope
from mmengine.runner import FlexibleRunner, Runner

from mango_mm.apis.overrides import check_counts, check_keys, check_model_name
from mango_mm.checkpoints import find_checkpoint, load_weights, said_of, unwrapped
from mango_mm.engine.console_runner import ConsoleRunner, quiet_hosts
from mango_mm.models.trusted_ensemble import check_trust
from mango_mm.pipelines import innermost, name_of
from mango_mm.zoo import find_config, is_model_name

__all__ = [
    'hold_out_for_trust',
    'leave_process_group',
    'load_config',
    'load_weights',
    'run_test',
    'test',
    'train',
    'use_feature_cache',
]

CACHED, CHECK = 'mango_mm.CachedFeatures', 'mango_mm.CacheCheckHook'
FROM_FEATURES = ('MIND', 'MLA')  # algorithms that draw no view of an image
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_config(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    new_keys: bool = True,
) -> Config:
    """Read a config and set where it works and how it is launched.

    Args:
        config: A file, a name of the model zoo, or a config already read (copied, not changed).
        work_dir: Where logs and checkpoints go; None: what the config says, else
            ``work_dirs/<name of the file>``.
        options: Values to override, keys with dots: ``{'optim_wrapper.optimizer.lr': 1e-4}``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        new_keys: Take ``options`` that are in no config and no argument of what it configures:
            as a rule they are misspelt, and change nothing.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no config, or a number in it cannot be one.
        KeyError: If ``options`` have a key that is not known.
    """
    if isinstance(config, Config):
        read = copy.deepcopy(config)
    else:
        read = _read_config(config)
    if options:
        if not new_keys:
            init_default_scope(read.get('default_scope', 'mmengine'))
            check_keys(read, options)
        read.merge_from_dict(dict(options))
    check_counts(read)
    check_model_name(read)
    if read.get('feature_cache') is not None:
        _take_out_of_cache(read)
    read.launcher = launcher
    if work_dir is not None:
        read.work_dir = str(work_dir)
    elif read.get('work_dir') is None:
        stem = Path(read.filename).stem if read.filename else 'unnamed'
        read.work_dir = osp.join('work_dirs', stem)
    return read


def _read_config(path: str | Path) -> Config:
    if is_model_name(path):
        path = find_config(str(path))
    if osp.isdir(path):
        raise ValueError(f'config {path} must be a file; it is a folder.')
    if not osp.isfile(path):
        raise FileNotFoundError(f'config file {path} does not exist.')
    try:
        read = Config.fromfile(path)
    except Exception as error:  # a config is a program
        raise ValueError(
            f'config {path} cannot be read: {type(error).__name__}: {error}.'
        ) from error
    if 'model' not in read:
        raise ValueError(f'config {path} has no model; it has {sorted(read.keys())}.')
    return read


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    resume: bool | str = False,
    amp: bool = False,
    new_keys: bool = True,
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
        new_keys: See :func:`load_config`.

    Returns:
        The runner after training; a ``FlexibleRunner`` if the config has a ``strategy``.

    Raises:
        ValueError: If what is resumed from is of another model, or the config trains nothing.
    """
    read = load_config(
        config, work_dir=work_dir, options=options, launcher=launcher, new_keys=new_keys
    )
    if read.get('train_dataloader') is None or read.get('train_cfg') is None:
        raise ValueError('the config has no train_dataloader or no train_cfg: it trains nothing.')
    if amp:
        read.optim_wrapper.type = 'AmpOptimWrapper'
        read.optim_wrapper.setdefault('loss_scale', 'dynamic')
    use_feature_cache(read)
    hold_out_for_trust(read)
    read.resume = bool(resume)
    if isinstance(resume, str):
        read.load_from = find_checkpoint(resume)
    elif resume and (Path(read.work_dir) / 'last_checkpoint').is_file():
        read.load_from = find_checkpoint(read.work_dir)  # also where the work dir was moved
    _prepare_cpu_processes(read)
    # A strategy (FSDP, ...) is FlexibleRunner's; mmengine calls that experimental.
    with quiet_hosts():
        runner = (FlexibleRunner if read.get('strategy') else ConsoleRunner).from_cfg(read)
    if read.resume and read.get('load_from') and isinstance(runner, Runner):
        load_weights(unwrapped(runner.model), read.load_from)  # says whose they are; read again
    with quiet_hosts():
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
    new_keys: bool = True,
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
        new_keys: See :func:`load_config`.

    Returns:
        The metrics by name.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If ``tta`` or ``show_dir`` ask for what the config lacks, or the checkpoint is
            of another model.
    """
    read = load_config(
        config, work_dir=work_dir, options=options, launcher=launcher, new_keys=new_keys
    )
    return run_test(read, checkpoint, tta=tta, show_dir=show_dir)[1]


def run_test(
    config: Config,
    checkpoint: str | Path,
    *,
    tta: bool = False,
    show_dir: str | Path | None = None,
) -> tuple[Runner, dict[str, float]]:
    """The runner of a test, and what it found; see :func:`test`.

    Args:
        config: As :func:`load_config` gives it; changed.
        checkpoint: See :func:`test`.
        tta: See :func:`test`.
        show_dir: See :func:`test`.
    """
    read = config
    if read.get('test_dataloader') is None or read.get('test_evaluator') is None:
        raise ValueError('the config has no test_dataloader or no test_evaluator.')
    path = find_checkpoint(checkpoint)
    read.load_from, read.resume = None, False
    if show_dir is not None:
        _show_in(read, Path(show_dir))
    if show_dir is None and not tta:  # those need images
        use_feature_cache(read)
    elif read.get('hold_out'):
        raise ValueError('hold_out is a part of a feature_cache; --tta and --show-dir read images.')
    if tta:
        if 'tta_model' not in read or 'tta_pipeline' not in read:
            raise ValueError('--tta needs tta_model and tta_pipeline in the config.')
        read.test_dataloader.dataset.pipeline = read.tta_pipeline
        read.tta_model.module = read.model
        read.model = read.tta_model
    _prepare_cpu_processes(read)
    with quiet_hosts():
        runner = ConsoleRunner.from_cfg(read)
    with said_of(path):  # mmengine would test a model half of which is as built
        runner.load_checkpoint(path, strict=True)
    check_trust(unwrapped(runner.model), path)
    with quiet_hosts():
        metrics: dict[str, float] = runner.test()
    return runner, metrics


def _take_out_of_cache(config: Config) -> None:
    """Undo :func:`use_feature_cache` in a config that a run saved: what reads images can use it.

    What was held out stays as it is: nothing says what the official split was.
    """
    for name in LOADERS:
        loader = config.get(name)
        if loader is None:
            continue
        outer, inside = loader, loader.dataset
        while name_of(inside) == 'DatasetPart':
            outer, inside = inside, inside.dataset
        if _is_cached(inside) and 'part' not in inside:
            outer.dataset = inside.dataset


def _is_cached(dataset: Mapping[str, Any]) -> bool:
    return name_of(dataset) == CACHED.rpartition('.')[2]


def use_feature_cache(config: Config) -> None:
    """Let every loader read its data set's features from ``feature_cache``, if the config has one.

    With ``hold_out``, a count, the last samples of the training list are not trained on but
    validated and tested on, in the first of their views: where settings are chosen.

    Raises:
        ValueError: If the config's algorithm reads images, or it has ``hold_out`` and nothing to
            hold out of.
    """
    folder, hold_out = config.get('feature_cache'), config.get('hold_out')
    if not folder:
        if hold_out:
            raise ValueError('hold_out is a part of a feature_cache; the config names none.')
        return
    if 'student' in config.model and name_of(config.model) not in FROM_FEATURES:
        raise ValueError(
            f'the views or teachers of {name_of(config.model)} read images: only '
            f"{' and '.join(FROM_FEATURES)} train from a feature cache; set feature_cache=''."
        )
    if hold_out and config.get(LOADERS[0]) is None:
        raise ValueError('hold_out is a part of the training list; there is no train_dataloader.')
    for name in LOADERS:
        loader = config.get(name)
        if loader is None or _is_cached(loader.dataset):
            continue
        loader.dataset = dict(type=CACHED, dataset=loader.dataset, cache=str(folder))
        if hold_out and name == LOADERS[0]:
            trained, loader.dataset.part = copy.deepcopy(loader.dataset), (None, -hold_out)
        elif hold_out:
            if not config.get('plain_pipeline'):  # for what reads the training list as it is
                config.plain_pipeline = innermost(loader.dataset)['pipeline']
            loader.dataset = dict(**trained, part=(-hold_out, None), view=0)
        loader.num_workers, loader.persistent_workers = 0, False  # a copy from memory, no work
        loader.pop('prefetch_factor', None)
    hooks = [*(config.get('custom_hooks') or ())]
    if not any(hook['type'] == CHECK for hook in hooks):
        config.custom_hooks = [*hooks, dict(type=CHECK)]


def hold_out_for_trust(config: Config) -> None:
    """Take the samples that a ``TrustHook`` calibrates on, out of the training list.

    Raises:
        ValueError: If an algorithm is to be trained.
    """
    hooks = [h for h in config.get('custom_hooks') or () if name_of(h) == 'TrustHook']
    if not hooks or name_of(config.train_dataloader.dataset) == 'DatasetPart':
        return
    if 'student' in config.model:
        raise ValueError('TrustHook fits a model; the config has an algorithm with a student.')
    part = (None, -int(hooks[0].get('hold_out', 100)))
    inside = config.train_dataloader.dataset
    config.train_dataloader.dataset = dict(type='mango_mm.DatasetPart', part=part, dataset=inside)


def _show_in(config: Config, folder: Path) -> None:
    """Send the pictures of a test to a folder."""
    every = [
        *config.get('custom_hooks', ()),
        (config.get('default_hooks') or {}).get('visualization'),
    ]
    hooks = {h['type'].rsplit('.', maxsplit=1)[-1]: h for h in every if h}
    if 'PanelHook' in hooks:
        hooks['PanelHook'].test_dir = str(folder)
    elif 'BasicVisualizationHook' in hooks:  # mmagic's, which draws by the visualizer
        config.visualizer.save_dir = str(folder)
    else:
        raise ValueError(
            '--show-dir needs a mango_mm.PanelHook in default_hooks.visualization of the config, '
            'or a BasicVisualizationHook in custom_hooks.'
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
