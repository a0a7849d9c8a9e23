"""Missing modality hook: every validation and test again, for each subset of the modalities."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.amp import autocast

from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.pipelines import innermost, with_pipeline
from mango_mm.registry import HOOKS, TRANSFORMS, build_ours

__all__ = ['MissingModalityHook', 'without']


@HOOKS.register_module()
class MissingModalityHook(Hook):
    """Evaluates the model with every proper, non-empty subset of its modalities.

    The metrics join those of the run, under the names of the modalities there are:
    ``rgb/mIoU``, ``depth/mIoU``, and ``rgb+normal/mIoU`` of three. What is missing is taken out
    by ``DropModality``, so that the model is told and does not merely see a blank image.

    Args:
        modalities: Channels of each, in the order in which they are stacked, for segmentation;
            a list of names for movies.
        subsets: Lists of names; None: all.

    Raises:
        ValueError: If there are fewer than two modalities, or a subset is not one of theirs.
    """

    priority = 'HIGHEST'  # before the hook that hands the metrics on to the log

    def __init__(
        self,
        modalities: Modalities,
        subsets: Sequence[Sequence[str]] | None = None,
    ) -> None:
        specs = specs_by_name(modalities)
        stacked = any(spec is not None for spec in specs.values())
        self.channels = channels_by_name(modalities) if stacked else None
        self.names = tuple(specs)
        if len(self.names) < 2:
            raise ValueError(f'there must be two modalities or more; got {self.names}.')
        self.subsets = tuple(map(tuple, subsets)) if subsets else tuple(_proper(self.names))
        wrong = [s for s in self.subsets if not s or not set(s) < set(self.names)]
        if wrong:
            raise ValueError(
                f'a subset holds some of {self.names}, but not all of them; got {wrong}.'
            )
        self._loaders: dict[tuple[str, tuple[str, ...]], Any] = {}

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._evaluate(runner, 'val', runner.val_loop, metrics)

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._evaluate(runner, 'test', runner.test_loop, metrics)

    @torch.no_grad()
    def _evaluate(
        self, runner: Any, split: str, loop: Any, metrics: dict[str, float] | None
    ) -> None:
        for subset in self.subsets:
            loader = self._loader(runner, split, subset)
            evaluator = Evaluator(copy.deepcopy(runner.cfg[f'{split}_evaluator']))
            evaluator.dataset_meta = loader.dataset.metainfo
            runner.logger.info(f'{split} with {"+".join(subset)} alone:')
            for batch in loader:
                with autocast(enabled=loop.fp16):
                    samples = runner.model.val_step(batch)
                evaluator.process(data_samples=samples, data_batch=batch)
            found = evaluator.evaluate(len(loader.dataset))
            if metrics is not None:
                metrics.update({f'{"+".join(subset)}/{k}': v for k, v in found.items()})

    def _loader(self, runner: Any, split: str, subset: tuple[str, ...]) -> Any:
        """The loader of a split in which all but ``subset`` is missing; built once."""
        if (split, subset) not in self._loaders:
            config = copy.deepcopy(runner.cfg[f'{split}_dataloader'].to_dict())
            if 'cache' in config['dataset']:  # without a modality there are images alone
                config['dataset'] = _images_of(config['dataset'], runner.cfg)
            gone = [name for name in self.names if name not in subset]
            pipeline = innermost(config['dataset'])['pipeline']
            config['dataset'] = with_pipeline(
                config['dataset'], without(gone, pipeline, self.channels or self.names)
            )
            config['persistent_workers'] = False  # one set of workers per subset would stay
            self._loaders[split, subset] = Runner.build_dataloader(config)
        return self._loaders[split, subset]


def _images_of(cached: dict[str, Any], config: Any) -> dict[str, Any]:
    """The data set behind a feature cache; what is held out of the training list, and no more."""
    images: dict[str, Any] = cached['dataset']
    if cached.get('part') is None:
        return images
    plain = with_pipeline(images, config.plain_pipeline)
    return {'type': 'mango_mm.DatasetPart', 'part': cached['part'], 'dataset': plain}


def without(
    gone: Sequence[str],
    pipeline: Sequence[dict[str, Any]],
    modalities: Mapping[str, int] | Sequence[str],
) -> list[dict[str, Any]]:
    """A pipeline that takes the modalities ``gone`` from every sample, before it packs them.

    Args:
        gone: Their names.
        pipeline: Ends with ``PackSegInputs`` or ``PackMovie``.
        modalities: The same as in the hook.
    """
    steps = list(pipeline)
    drop: dict[str, Any] = {
        'type': 'mango_mm.DropModality',
        'probabilities': {name: float(name in gone) for name in modalities},
    }
    if isinstance(modalities, Mapping):
        # A list, because mmengine sorts the dicts of a config that it saves.
        drop['channels'] = [dict(name=m, channels=c) for m, c in modalities.items()]
        steps[-1] = {**steps[-1], 'meta_keys': _pack_keys(steps[-1])}
    return [*steps[:-1], drop, steps[-1]]


def _pack_keys(pack: Mapping[str, Any]) -> tuple[str, ...]:
    """The meta keys of a ``PackSegInputs``, with ``present`` among them."""
    known = build_ours(TRANSFORMS, dict(pack)).meta_keys
    return (*[k for k in known if k != 'present'], 'present')


def _proper(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every subset but the empty one and the whole."""
    for size in range(1, len(names)):
        yield from itertools.combinations(names, size)
