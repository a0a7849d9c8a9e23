"""Batches token sequences, each channel by its own statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.registry import MODELS

__all__ = ['SequenceDataPreprocessor']

ESTIMATE = 'estimate'


@MODELS.register_module()
class SequenceDataPreprocessor(BaseDataPreprocessor):
    """Normalises and stacks the tokens (T, C) of every modality; padding is 0 and masked.

    Args:
        modalities: A list of dicts with ``name``, ``channels`` and optionally ``mean`` and ``std``,
            one number per channel or one for all; or ``'estimate'``: ``EstimateStatisticsHook``
            takes them of the training data, over real tokens, and they are saved in the
            checkpoint. Without: 0 and 1.

    Raises:
        ValueError: If statistics do not match the channels.
    """

    def __init__(self, modalities: Modalities) -> None:
        super().__init__()
        self.channels = channels_by_name(modalities)
        self.estimated: tuple[str, ...] = ()
        for name, spec in specs_by_name(modalities).items():
            mean, std = spec.get('mean', 0.0), spec.get('std', 1.0)
            if ESTIMATE in (mean, std):
                self.estimated += (name,)
                mean = std = float('nan')
            for key, given in (('mean', mean), ('std', std)):
                values = torch.as_tensor(given, dtype=torch.float32).reshape(-1)
                if len(values) not in (1, self.channels[name]) or (
                    key == 'std' and values.le(0).any()
                ):
                    raise ValueError(
                        f'{key} of {name!r} must be one number, or one for each of its '
                        f'{self.channels[name]} channels, deviations positive; got {given}.'
                    )
                persistent = name in self.estimated
                self.register_buffer(
                    f'{key}_{name}', values.expand(self.channels[name]).clone(), persistent
                )

    def known(self) -> bool:
        """Whether every mean and deviation is a number."""
        return all(bool(torch.isfinite(getattr(self, f'mean_{m}')).all()) for m in self.channels)

    def measured(self, results: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """The real tokens of a loaded sample by modality, (T, C)."""
        return {m: results[f'{m}_tokens'][results[f'{m}_mask']] for m in self.channels}

    def set_statistics(self, modality: str, mean: Any, std: Any) -> None:
        """Take a modality's mean and deviation, one per channel, for estimated."""
        for key, values in (('mean', mean), ('std', std)):
            buffer = getattr(self, f'{key}_{modality}')
            buffer.copy_(torch.as_tensor(values).to(buffer))

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # mmengine passes it by position
        """Collated samples to ``{modality: (tokens (B, T, C), mask (B, T))}``.

        Raises:
            ValueError: If the lengths or channels of a batch differ, or statistics are unknown.
        """
        data = self.cast_data(data)
        if not self.known():
            raise ValueError(
                f"mean and std of {self.estimated} are to be estimated ('estimate'): train first "
                '(EstimateStatisticsHook, in sequence_runtime), or load a checkpoint.'
            )
        batch: dict[str, tuple[Tensor, Tensor]] = {}
        for name, values in data['inputs'].items():
            tokens, masks = values  # mmengine collates pairs to a pair of lists
            shapes = {tuple(t.shape) for t in tokens}
            if len(shapes) > 1 or tokens[0].shape[1:] != (self.channels[name],):
                raise ValueError(
                    f'{name!r} must be tokens (T, {self.channels[name]}) of one length T in a '
                    f'batch; got {sorted(shapes)}.'
                )
            mask = torch.stack(masks)
            x = (torch.stack(tokens) - getattr(self, f'mean_{name}')) / getattr(self, f'std_{name}')
            batch[name] = x.masked_fill(~mask[..., None], 0.0), mask
        return {'inputs': batch, 'data_samples': data.get('data_samples')}
