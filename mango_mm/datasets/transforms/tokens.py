"""Token sequences: loading, shortening, packing."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.registry import TRANSFORMS
from mango_mm.structures import SequenceSample

__all__ = ['LoadTokens', 'PackTokens']


@TRANSFORMS.register_module()
class LoadTokens(BaseTransform):
    """Load the tokens of every modality, (T, C) float32 and which are real, (T,).

    Args:
        modalities: A list of dicts with ``name``, ``channels`` and optionally ``tokens``: a longer
            sequence becomes so many, each the mean of a run of real ones. Values that are not
            finite (the -inf of MOSEI's audio) become 0.

    Raises:
        ValueError: If a file does not hold such tokens.
    """

    def __init__(self, modalities: Modalities) -> None:
        self.channels = channels_by_name(modalities)
        specs = specs_by_name(modalities)
        self.tokens = {m: specs[m].get('tokens') for m in self.channels}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        for m, channels in self.channels.items():
            given = results.get(f'{m}_tokens')
            if given is None and not results['present'].get(m, True) and 'path' not in results:
                given = np.zeros((0, channels), np.float32)
            length = results.get('lengths', {}).get(m)
            if given is None:
                given = _row(results['path'], m, results['row'])
            tokens = np.asarray(given, dtype=np.float32)
            if tokens.ndim != 2 or tokens.shape[1] != channels:
                raise ValueError(
                    f'{m!r} must be tokens (T, {channels}); got {tokens.shape} of '
                    f'{results.get("sample_id", "a sample")}.'
                )
            length = len(tokens) if length is None else length
            tokens = np.where(np.isfinite(tokens), tokens, np.float32(0))
            results[f'{m}_tokens'], results[f'{m}_mask'] = _shortened(
                tokens, length, self.tokens[m]
            )
        return results


@TRANSFORMS.register_module()
class PackTokens(BaseTransform):
    """``{'inputs': {modality: (tokens, mask)}, 'data_samples': SequenceSample}``.

    Args:
        modalities: Their names.
    """

    def __init__(self, modalities: Modalities) -> None:
        self.modalities = tuple(specs_by_name(modalities))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        keys = ('sample_id', 'present', 'classes')
        sample = SequenceSample(metainfo={k: results[k] for k in keys if k in results})
        if 'gt_label' in results:
            sample.gt_label = torch.as_tensor(results['gt_label'])
        inputs = {
            m: (torch.from_numpy(results[f'{m}_tokens']), torch.from_numpy(results[f'{m}_mask']))
            for m in self.modalities
        }
        return {'inputs': inputs, 'data_samples': sample}


def _shortened(
    tokens: NDArray[np.float32], length: int, most: int | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """At most so many tokens; padding is 0."""
    if most is None:
        mask = np.arange(len(tokens)) < length
        return np.where(mask[:, None], tokens, np.float32(0)), mask
    shorter = np.zeros((most, tokens.shape[1]), np.float32)
    kept = min(length, most)
    if length <= most:
        shorter[:kept] = tokens[:kept]
    else:
        starts = np.linspace(0, length, most + 1).round().astype(int)
        sums = np.add.reduceat(tokens[:length].astype(np.float64), starts[:-1], axis=0)
        shorter[:] = sums / np.diff(starts)[:, None]
    return shorter, np.arange(most) < kept


def _row(path: str, name: str, row: int) -> NDArray[Any]:
    if path.endswith('.npz'):
        return np.asarray(_whole(path, os.path.getmtime(path), name)[row])
    return np.asarray(_opened(path, os.path.getmtime(path), os.getpid())[name][row])


@functools.lru_cache(maxsize=32)
def _whole(path: str, changed: float, name: str) -> NDArray[Any]:
    """A table of an ``.npz``, kept in this process."""
    with np.load(path, allow_pickle=False) as found:
        return np.asarray(found[name])


@functools.lru_cache(maxsize=8)
def _opened(path: str, changed: float, process: int) -> Any:
    """An HDF5 file, kept open in this process; the data set has checked its tables."""
    import h5py

    return h5py.File(path, 'r')
