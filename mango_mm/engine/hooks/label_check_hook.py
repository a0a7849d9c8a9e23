"""Label check hook: are the labels what the model takes them for? Asked before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mango_mm.registry import HOOKS

__all__ = ['LabelCheckHook']


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Logs the shares of the classes in some training labels, and warns of what cannot be meant.

    A background that is read as void, or labels shifted by one, train to a high score on the
    wrong question; nothing else notices. ``tools/analyse/check_data.py`` looks at all of them.

    Args:
        samples: Label maps that are looked at, spread over the training list.
    """

    priority = 'LOW'

    def __init__(self, samples: int = 64) -> None:
        if samples < 1:
            raise ValueError(f'samples must be positive; got {samples}.')
        self.samples = samples

    def before_train(self, runner: Any) -> None:
        if runner.rank:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model = getattr(model, 'student', model)
        classes = getattr(getattr(model, 'decode_head', None), 'num_classes', None)
        if classes is None:
            return
        for dataset in _innermost(runner.train_dataloader.dataset):
            if not hasattr(dataset, 'count_labels'):
                continue
            counts = dataset.count_labels(self.samples)
            if not counts.seen:
                continue
            runner.logger.info(counts.table(classes))
            for problem in counts.problems(classes):
                runner.logger.warning(f'LABELS: {problem} ({counts})')


def _innermost(dataset: Any) -> Iterator[Any]:
    """The data sets inside wrappers and concatenations."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from _innermost(part)
    elif hasattr(dataset, 'dataset'):
        yield from _innermost(dataset.dataset)
    else:
        yield dataset
