"""Mean and deviation of modalities that come without any: estimated once, before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from tqdm import tqdm

from mango_mm.registry import HOOKS

__all__ = ['EstimateStatisticsHook']


@HOOKS.register_module()
class EstimateStatisticsHook(Hook):
    """Estimates what a data preprocessor of ours calls ``'estimate'``.

    Over every pixel that was measured, or token that is real, of ``samples`` samples spread
    over the training list, as loaded, without augmentation. The values go into the checkpoint,
    so that testing, inference and a resumed training have the same; a training that starts from
    weights that have them keeps those.

    Args:
        samples: Files at most.

    Raises:
        ValueError: If a modality has no measured pixel, or only one value, in any of them.
    """

    priority = 'HIGH'

    def __init__(self, samples: int = 500) -> None:
        if samples < 1:
            raise ValueError(f'samples must be positive; got {samples}.')
        self.samples = samples

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        preprocessor = getattr(model, 'data_preprocessor', None)
        wanted = getattr(preprocessor, 'estimated', ())
        if not wanted or preprocessor.known():
            return
        found: list[Any] = [None]
        if runner.rank == 0:
            found = [self._estimate(runner.train_dataloader.dataset, preprocessor, wanted)]
        broadcast_object_list(found)
        for name, (mean, std) in found[0].items():
            preprocessor.set_statistics(name, mean, std)
            runner.logger.info(
                f'{name}: mean {[round(v, 4) for v in mean]}, deviation '
                f'{[round(v, 4) for v in std]}, estimated on the training list'
            )

    def _estimate(
        self, dataset: Any, preprocessor: Any, wanted: Sequence[str]
    ) -> dict[str, tuple[list[float], list[float]]]:
        while hasattr(dataset, 'dataset'):  # RepeatDataset and its like
            dataset = dataset.dataset
        transforms = dataset.pipeline.transforms
        labels = ('LoadSegmentation', 'LoadAnnotations')
        names = [type(t).__name__ for t in transforms]
        steps = [
            t for t, n in zip(transforms, names)
            if (n.startswith('Load') and n not in labels) or n == 'StackModalities'
        ]  # fmt: skip
        channels: dict[str, int] = preprocessor.channels
        count, sums, squares = ({m: np.zeros(c) for m, c in channels.items()} for _ in range(3))
        chosen = np.unique(np.linspace(0, len(dataset) - 1, self.samples).round().astype(int))
        for index in tqdm(chosen, desc='means and deviations', unit='sample'):
            results = dataset.get_data_info(int(index))
            for step in steps:
                results = step(results)
            for m, given in preprocessor.measured(results).items():
                seen = np.isfinite(given)
                values = np.where(seen, given, 0.0).astype(np.float64)
                count[m] += seen.sum(axis=0)
                sums[m] += values.sum(axis=0)
                squares[m] += (values**2).sum(axis=0)
        found = {}
        for m in wanted:
            mean = sums[m] / np.maximum(count[m], 1)
            std = np.sqrt(np.maximum(squares[m] / np.maximum(count[m], 1) - mean**2, 0.0))
            if not (count[m] > 1).all() or not (std > 0).all():
                raise ValueError(
                    f'mean and deviation of {m!r} cannot be estimated: of {len(chosen)} samples '
                    f'{count[m].astype(int).tolist()} values were measured in its channels, '
                    f'with deviations {std.tolist()}.'
                )
            found[m] = (mean.tolist(), std.tolist())
        return found
