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
    """Estimates what a ``MultimodalSegDataPreProcessor`` calls ``'estimate'``.

    Over every pixel that was measured of ``samples`` files spread over the training list, as
    loaded, without augmentation. The values go into the checkpoint, so that testing, inference and
    a resumed training have the same; a training that starts from weights that have them keeps
    those.

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
        loads = [t for t in transforms if type(t).__name__.startswith('Load')]
        loads = [
            t for t in loads if type(t).__name__ not in ('LoadSegmentation', 'LoadAnnotations')
        ]
        stack = [t for t in transforms if type(t).__name__ == 'StackModalities']
        channels = preprocessor.channels
        total = sum(channels.values())
        count, sums, squares = (np.zeros(total) for _ in range(3))
        missing = preprocessor.missing.cpu().numpy().reshape(-1)
        chosen = np.unique(np.linspace(0, len(dataset) - 1, self.samples).round().astype(int))
        for index in tqdm(chosen, desc='means and deviations', unit='sample'):
            results = dataset.get_data_info(int(index))
            for transform in (*loads, *stack):
                results = transform(results)
            values = results['img'].reshape(-1, total).astype(np.float64)
            seen = np.isfinite(values) & (values != missing)
            values = np.where(seen, values, 0.0)
            count += seen.sum(axis=0)
            sums += values.sum(axis=0)
            squares += (values**2).sum(axis=0)
        mean = sums / np.maximum(count, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
        found, start = {}, 0
        for name, size in channels.items():
            part = slice(start, start + size)
            start += size
            if name not in wanted:
                continue
            if not (count[part] > 1).all() or not (std[part] > 0).all():
                raise ValueError(
                    f'mean and deviation of {name!r} cannot be estimated: of {len(chosen)} samples '
                    f'{count[part].astype(int).tolist()} values were measured in its channels, '
                    f'with deviations {std[part].tolist()}.'
                )
            found[name] = (mean[part].tolist(), std[part].tolist())
        return found
