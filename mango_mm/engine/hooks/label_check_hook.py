"""Label check hook: are labels and channels what the model takes them for, before step one?"""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mango_mm.pipelines import chains
from mango_mm.registry import HOOKS

__all__ = ['LabelCheckHook']


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Logs the shares of the classes in some training labels, and warns of what cannot be meant.

    A background that is read as void, or labels shifted by one, train to a high score on the
    wrong question; nothing else notices. ``tools/analyse/check_data.py`` looks at all of them.

    The modalities must be stacked in the order in which the model reads them: by name, since
    another order of as many channels fits as well.

    Args:
        samples: Label maps that are looked at, spread over the training list.
    """

    priority = 'LOW'

    def __init__(self, samples: int = 64) -> None:
        if samples < 1:
            raise ValueError(f'samples must be positive; got {samples}.')
        self.samples = samples

    def before_train(self, runner: Any) -> None:
        self._check_order(runner, runner.train_dataloader)
        if runner.rank:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model = getattr(model, 'student', model)
        classes = getattr(model, 'num_classes', None)
        if classes is None:
            return
        for dataset, _ in chains(runner.train_dataloader.dataset):
            if not hasattr(dataset, 'count_labels'):
                continue
            counts = dataset.count_labels(self.samples)
            if not counts.seen:
                continue
            runner.logger.info(counts.table(classes))
            for problem in counts.problems(classes):
                runner.logger.warning(f'LABELS: {problem} ({counts})')

    def before_val(self, runner: Any) -> None:
        self._check_order(runner, runner.val_dataloader)

    def before_test(self, runner: Any) -> None:
        self._check_order(runner, runner.test_dataloader)

    @staticmethod
    def _check_order(runner: Any, loader: Any) -> None:
        """Stop if the modalities are stacked in another order than the model reads them in."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check = getattr(model.data_preprocessor, 'check_order', None)
        for _, transforms in chains(loader.dataset) if check is not None else ():
            check(transforms)
