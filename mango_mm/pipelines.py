"""Data sets behind one another, the transforms that their samples pass, and loaders of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    'Draw',
    'chains',
    'held_out_loader',
    'in_order',
    'innermost',
    'loads',
    'loads_inputs',
    'name_of',
    'plain_training_loader',
    'with_pipeline',
    'without_workers',
]

LABELS = ('LoadSegmentation', 'LoadAnnotations')


class Draw(int):
    """The index of a sample, with the seed of this one use of it."""

    seed: tuple[int, ...]

    @classmethod
    def of(cls, index: int, *seed: int) -> Draw:
        """``index``, to be used with ``seed``."""
        draw = cls(index)
        draw.seed = seed
        return draw


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


def in_order(loader: Any, **changes: Any) -> dict[str, Any]:
    """The config of a loader that gives every sample once, in order.

    Args:
        loader: Config of a loader.
        **changes: Further keys to set.
    """
    plain: dict[str, Any] = loader.to_dict() if hasattr(loader, 'to_dict') else dict(loader)
    plain.pop('batch_sampler', None)
    return {**plain, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}, **changes}


def without_workers(loader: dict[str, Any]) -> dict[str, Any]:
    """The config of a loader, changed to one that reads in this process."""
    loader['num_workers'], loader['persistent_workers'] = 0, False
    loader.pop('prefetch_factor', None)
    return loader


def plain_training_loader(config: Any) -> dict[str, Any]:
    """The validation loader over the training data: every sample once, without augmentation.

    Where the validation data are held out of the training list, their own transforms are those of
    the training; then ``plain_pipeline`` of the config has those of the validation.
    """
    loader = in_order(config.val_dataloader)
    trained = config.train_dataloader.to_dict()['dataset']
    plain = config.get('plain_pipeline') or innermost(loader['dataset'])['pipeline']
    loader['dataset'] = with_pipeline(trained, plain)
    return loader


def innermost(dataset: Any) -> Any:
    """The config of a data set without those that are wrapped around it."""
    return innermost(dataset['dataset']) if 'dataset' in dataset else dataset


def with_pipeline(dataset: Any, pipeline: Any) -> dict[str, Any]:
    """The config of a data set with other transforms, in what is wrapped around it."""
    if 'dataset' in dataset:
        return {**dataset, 'dataset': with_pipeline(dataset['dataset'], pipeline)}
    return {**dataset, 'pipeline': pipeline}


def held_out_loader(config: Any, count: int, *, kept: bool) -> dict[str, Any]:
    """The training samples without augmentation: the last ``count``, or those before them.

    Args:
        config: Of a training; whether it has taken them out already does not matter.
        count: How many are held out.
        kept: Those that are trained on instead.
    """
    loader = plain_training_loader(config)
    inside = loader['dataset']
    if name_of(inside) == 'DatasetPart':
        inside = inside['dataset']
    part = (None, -count) if kept else (-count, None)
    loader['dataset'] = {'type': 'mango_mm.DatasetPart', 'part': part, 'dataset': inside}
    return without_workers(loader)
