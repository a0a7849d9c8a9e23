"""The n-th sample of a training is augmented alike, whoever loads it.

Transforms draw from the generators of the process that runs them: the main one, or one of so
many data workers. So the numbers that a sample gets, and with them the weights at the end, would
depend on how many workers there are, and on how many processes share the data. Here every draw
of the endless stream of samples has a seed of its own, made from the run's seed and its place in
the stream: :class:`SeededSampler` deals them, a data set derived from :class:`SeededDraws` obeys.

A sample of a test has a seed made from its index.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler

from mango_mm.pipelines import Draw
from mango_mm.registry import DATA_SAMPLERS

__all__ = ['Draw', 'SeededDraws', 'SeededSampler', 'own_random_numbers']


@DATA_SAMPLERS.register_module()
class SeededSampler(InfiniteSampler):
    """mmengine's ``InfiniteSampler``, whose indices carry a seed each.

    The seed is that of the run and the place in the stream of all processes together, so that
    neither the number of data workers nor that of processes changes what a sample is given.
    """

    def _infinite_indices(self) -> Iterator[int]:
        for place, index in enumerate(super()._infinite_indices()):
            yield Draw.of(int(index), int(self.seed), place)


class SeededDraws:
    """Before ``BaseDataset`` in the bases of a data set: its samples obey :class:`Draw`."""

    def __getitem__(self, idx: int) -> Any:
        seed = getattr(idx, 'seed', None)
        if seed is None and getattr(self, 'test_mode', False):
            seed = (int(idx),)
        with own_random_numbers(seed):
            return super().__getitem__(int(idx))  # type: ignore[misc]  # of the data set


@contextlib.contextmanager
def own_random_numbers(seed: tuple[int, ...] | None) -> Iterator[None]:
    """Generators seeded by ``seed`` for a while, put back afterwards; None: as they are."""
    if seed is None:
        yield
        return
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence([s % 2**32 for s in seed]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.random.default_generator.manual_seed(int(words[2]))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
