"""Vocabulary hook: builds the words of a text encoder from the training split."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mango_mm.registry import HOOKS

__all__ = ['VocabularyHook']


@HOOKS.register_module()
class VocabularyHook(Hook):
    """Shows the training texts to the model before the first step.

    Every process reads the same list, so that all of them build the same vocabulary. A
    resumed or finetuned run keeps that of its checkpoint.
    """

    priority = 'VERY_LOW'  # after a checkpoint was loaded

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dataset = runner.train_dataloader.dataset
        while hasattr(dataset, 'dataset'):
            dataset = dataset.dataset
        model.fit_vocabulary(
            [dataset.get_data_info(i).get('text', '') for i in range(len(dataset))]
        )
