"""Data sets behind one another, and the transforms that a sample passes through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ['chains', 'loads', 'loads_inputs', 'name_of']

LABELS = ('LoadSegmentation', 'LoadAnnotations')


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


def name_of(transform: Any) -> str:
    """What a transform is called, without its scope; its config does as well."""
    if isinstance(transform, Mapping):
        return str(transform['type']).rpartition('.')[2]
    return type(transform).__name__


def loads(transform: Any) -> bool:
    """Whether a transform reads files: its name says so."""
    return name_of(transform).startswith('Load')


def loads_inputs(transform: Any) -> bool:
    """Whether it reads what a model is given, and no labels."""
    return loads(transform) and name_of(transform) not in LABELS
