"""Cache check hook: is a cache of features that of this model's frozen encoders?"""

from __future__ import annotations

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

    def before_train(self, runner: Any) -> None:
        _check(runner.model, runner.train_dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        _check(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        _check(runner.model, runner.test_dataloader.dataset)


def _check(wrapped: Any, dataset: Any) -> None:
    """Compare the hash in a cache with the model's.

    Raises:
        ValueError: If they differ.
    """
    while not hasattr(dataset, 'manifest') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if not hasattr(dataset, 'manifest'):
        return
    model = wrapped.module if is_model_wrapper(wrapped) else wrapped
    if not hasattr(model, 'frozen_weights'):
        raise TypeError(
            'a feature cache is read by a MultimodalEncoderDecoder or a MultimodalClassifier; the '
            f'model is a {type(model).__name__}.'
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
