"""Cache check hook: is a cache of features that of this model's frozen encoders?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mango_mm.registry import HOOKS

__all__ = ['CacheCheckHook']


@HOOKS.register_module()
class CacheCheckHook(Hook):
    """Stops before the first step if ``CachedFeatures`` were made by other weights.

    Features of other encoders have the right shapes, and train to other numbers without a word.
    """

    priority = 'LOW'  # after weights were loaded

    def __init__(self) -> None:
        self._checked: set[Path] = set()  # frozen weights stay what they are

    def before_train(self, runner: Any) -> None:
        self._check(runner.model, runner.train_dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        self._check(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        self._check(runner.model, runner.test_dataloader.dataset)

    def _check(self, model: Any, dataset: Any) -> None:
        for cached in _caches(dataset):
            if cached.cache not in self._checked:
                _compare(model.module if is_model_wrapper(model) else model, cached)
                self._checked.add(cached.cache)


def _caches(dataset: Any) -> Iterator[Any]:
    """Every ``CachedFeatures`` in a data set, however wrapped."""
    if hasattr(dataset, 'manifest'):
        yield dataset
        return
    inside = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in inside:
        if part is not None:
            yield from _caches(part)


def _compare(model: Any, dataset: Any) -> None:
    """Compare the hash in a cache with the model's.

    Raises:
        TypeError: If the model has no frozen encoders to ask.
        ValueError: If they differ.
    """
    if not hasattr(model, 'frozen_weights'):
        raise TypeError(
            'a feature cache is read by a MultimodalEncoderDecoder, a MultimodalClassifier or an '
            f'algorithm around one; the model is a {type(model).__name__}.'
        )
    cached = dataset.manifest['weights']
    for modality, found in model.frozen_weights().items():
        known = cached.get(modality)
        if known is None:
            raise ValueError(
                f'the feature cache {dataset.cache} has {sorted(cached)}, and the model reads '
                f'{modality!r}: make the cache again with this config.'
            )
        if found != known:
            raise ValueError(
                f'the feature cache {dataset.cache} was made by an encoder of {modality} with '
                f'SHA-256 {known[:16]} ({dataset.manifest.get("config")}), and the model has '
                f'{found[:16]}: give it the same weights (init_cfg, load_from) and data '
                'preprocessor, or make the cache again with this config.'
            )
