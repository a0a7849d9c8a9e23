"""Mean and deviation of modalities that come without any: estimated once, before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from tqdm import tqdm

from mango_mm.pipelines import chains, loads, name_of
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
            try:
                found = [self._estimate(runner, preprocessor, wanted)]
            except Exception as error:  # whatever it is, the other processes wait for an answer
                found = [error]
        broadcast_object_list(found)
        if isinstance(found[0], Exception):
            raise found[0]
        for name, (mean, std) in found[0].items():
            for module in model.modules():  # an algorithm has one, and its student another
                if name in getattr(module, 'estimated', ()):
                    module.set_statistics(name, mean, std)
            runner.logger.info(
                f'{name}: mean {[round(v, 4) for v in mean]}, deviation '
                f'{[round(v, 4) for v in std]}, estimated on the training list'
            )

    def _estimate(
        self, runner: Any, preprocessor: Any, wanted: Sequence[str]
    ) -> dict[str, tuple[list[float], list[float]]]:
        channels: dict[str, int] = preprocessor.channels
        count, sums, squares = ({m: np.zeros(c) for m, c in channels.items()} for _ in range(3))
        parts = list(chains(runner.train_dataloader.dataset))
        total = 0
        for dataset, transforms in parts:
            steps = [t for t in transforms if _is_fixed(t)]
            left_out = [name_of(t) for t in transforms if not _is_fixed(t)]
            runner.logger.info(f'means and deviations are taken without {left_out}')
            most = max(1, self.samples // len(parts))
            chosen = np.unique(np.linspace(0, len(dataset) - 1, most).round().astype(int))
            total += len(chosen)
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
            std[std < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = 0.0  # rounding of a constant
            if not (count[m] > 1).all() or not std.any():
                raise ValueError(
                    f'mean and deviation of {m!r} cannot be estimated: in {total} samples '
                    f'{int(count[m].min())} values of a channel were measured, and the largest '
                    f'deviation is {float(std.max()):g}.'
                )
            if not std.all():
                constant = np.flatnonzero(std == 0).tolist()
                runner.logger.warning(f'{m}: channels {constant} are constant; they stay 0.')
                std[std == 0] = 1.0
            found[m] = (mean.tolist(), std.tolist())
        return found


def _is_fixed(transform: Any) -> bool:
    """Whether a transform does the same to every sample at every time, and no packing."""
    return loads(transform) or name_of(transform) in ('StackModalities', 'CropBorder')
