"""A part of a data set: from one sample to before another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mango_mm.datasets.draws import Draw
from mango_mm.registry import DATASETS, build_ours

__all__ = ['DatasetPart']


@DATASETS.register_module()
class DatasetPart:
    """Some neighbouring samples of any data set, which stays as it is.

    Args:
        dataset: Its config, or the data set.
        part: First sample and the one after the last, as in a slice; ``(None, -100)`` leaves out
            the last hundred.

    Raises:
        ValueError: If the part has no sample.
    """

    def __init__(self, dataset: Any, part: Sequence[int | None]) -> None:
        self.dataset: Any = (
            build_ours(DATASETS, dict(dataset)) if isinstance(dataset, Mapping) else dataset
        )
        self.part = tuple(part)
        self.metainfo = self.dataset.metainfo
        self.indices = range(len(self.dataset))[slice(*part)]
        if not self.indices:
            raise ValueError(
                f'the part {tuple(part)} of {len(self.dataset)} samples has none: a '
                f'{type(self.dataset).__name__} of more is needed, or another part.'
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, idx: int) -> Any:
        index, seed = self.indices[int(idx)], getattr(idx, 'seed', None)
        return self.dataset[index if seed is None else Draw.of(index, *seed)]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the data set lists of a sample."""
        info: dict[str, Any] = self.dataset.get_data_info(self.indices[idx])
        return info

    def full_init(self) -> None:
        """Nothing is left to do."""

    def __getattr__(self, name: str) -> Any:
        if name in ('dataset', 'indices') or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)
