"""Batches movies: images are stacked and normalised, texts stay a list of strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mango_mm.models.cached_inputs import stack_features
from mango_mm.registry import MODELS

__all__ = ['MovieDataPreprocessor']


@MODELS.register_module()
class MovieDataPreprocessor(BaseDataPreprocessor):
    """Normalises ``image`` and leaves everything else as it is.

    Args:
        mean: Of each channel, RGB, in 0..255.
        std: Of each channel.

    Raises:
        ValueError: If the images of a batch differ in size.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # mmengine passes it by position
        data = self.cast_data(data)
        batch: dict[str, Any] = {}
        for name, values in data['inputs'].items():
            if isinstance(values[0], (list, tuple)):  # stages of CachedFeatures
                batch.update(stack_features({name: values}))
                continue
            if not isinstance(values[0], Tensor):
                batch[name] = list(values)
                continue
            sizes = {tuple(value.shape) for value in values}
            if len(sizes) > 1:
                raise ValueError(
                    f'the {name}s of a batch must have one size; got {sorted(sizes)}. '
                    'Resize in the pipeline.'
                )
            stacked = torch.stack(list(values))
            picture = stacked.dtype == torch.uint8
            batch[name] = (stacked.float() - self.mean) / self.std if picture else stacked
        return {'inputs': batch, 'data_samples': data.get('data_samples')}
