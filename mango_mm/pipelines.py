"""Data sets behind one another, and the transforms that a sample passes through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ['chains']


def chains(dataset: Any, after: Sequence[Any] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every innermost data set, and all transforms of its samples in order.

    ``RepeatDataset`` adds none, ``MultiImageMixDataset`` its own after those of the data set inside
    it, ``ConcatDataset`` has several inside.

    Args:
        dataset: As a loader has it.
        after: Transforms that follow its own.
    """
    pipeline = getattr(dataset, 'pipeline', None) or ()
    own = tuple(getattr(pipeline, 'transforms', pipeline))
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from chains(part, (*own, *after))
    elif hasattr(dataset, 'dataset'):
        yield from chains(dataset.dataset, (*own, *after))
    else:
        yield dataset, (*own, *after)
