"""The pickles of CMU-MOSI and CMU-MOSEI, read without running what they hold.

Three kinds are known, all ``{'train', 'valid', 'test'} -> dict``:

    MulT         ``text``, ``audio``, ``vision``, ``labels`` (N, 1, 1); zeros in front
    MultiBench   the same, made by its ``get_raw_data.py``
    MMSA         ``regression_labels`` (N,), and of unaligned files ``audio_lengths``,
                 ``vision_lengths``; zeros at the end

A sequence's real tokens are those from its first row that is not all zeros to its last; they are
moved to the front. Rows of zeros between them (words without an embedding) stay. Values that are
not finite (-inf in MOSEI's audio, of every loader set to 0) become 0.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['MODALITIES', 'SPLITS', 'read_arrays', 'read_pickle', 'tables_of']

SPLITS = {'train': 'train', 'valid': 'val', 'test': 'test'}
MODALITIES = ('text', 'audio', 'vision')
# What a pickle of arrays, dicts, lists and strings needs.
ALLOWED = {
    *((f'numpy.{core}.multiarray', name) for core in ('core', '_core')
      for name in ('_reconstruct', 'scalar')),
    *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),
}  # fmt: skip


class _Arrays(pickle.Unpickler):
    """Builds arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}, which is none of the arrays that such a file holds'
            )
        if module.startswith('numpy.') and '_core' in module and np.__version__ < '2':
            module = module.replace('_core', 'core')  # written by a newer numpy
        return super().find_class(module, name)


def read_arrays(path: str | Path) -> Any:
    """What a pickle holds, if that is arrays, numbers, texts, lists and dicts of them alone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the pickle {path} does not exist.')
    try:
        with path.open('rb') as file:
            return _Arrays(file).load()
    except Exception as error:  # a broken pickle ends in anything
        raise ValueError(f'{path} cannot be read: {error}.') from error


def read_pickle(path: str | Path) -> dict[str, dict[str, Any]]:
    """The splits of a pickle.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything but arrays, or not the splits.
    """
    found = read_arrays(path)
    if not isinstance(found, dict) or not set(SPLITS) <= set(found):
        got = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise ValueError(f'{path} must hold a dict with {tuple(SPLITS)}; got {got}.')
    return found


def tables_of(split: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, int]]:
    """A split in the layout of ``TokenSequenceDataset``, and what was odd in it, counted.

    Args:
        split: Of :func:`read_pickle`.
        where: For errors.

    Raises:
        ValueError: If a table is missing or does not fit.
    """
    labels = split.get('regression_labels', split.get('labels'))
    missing = [k for k in MODALITIES if k not in split] + ([] if labels is not None else ['labels'])
    if missing:
        raise ValueError(f'{where} must hold {missing}; it holds {sorted(map(str, split))}.')
    values = np.asarray(labels, dtype=np.float32).reshape(len(labels), -1)
    if values.shape[1] != 1 or not np.isfinite(values).all():
        raise ValueError(f'{where}: labels must be one finite number each; got {values.shape}.')
    tables: dict[str, Any] = {'label': values[:, 0]}
    odd = {'values not finite': 0, **{f'without {m}': 0 for m in MODALITIES}}
    for m in MODALITIES:
        stored = np.asarray(split[m])
        if stored.ndim != 3 or len(stored) != len(values) or stored.dtype.kind != 'f':
            raise ValueError(
                f'{where}: {m!r} must be ({len(values)}, T, C) floating point; got {stored.shape} '
                f'{stored.dtype}.'
            )
        given = split.get(f'{m}_lengths')
        tables[m], tables[f'{m}_length'], infinite = _to_the_front(
            stored, None if given is None else np.asarray(given, dtype=np.int64)
        )
        odd['values not finite'] += infinite
        odd[f'without {m}'] = int((tables[f'{m}_length'] == 0).sum())
    if 'id' in split:
        tables['id'] = [_name(x) for x in split['id']]
    return tables, odd


def _to_the_front(
    stored: NDArray[Any], given: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    count, steps = stored.shape[:2]
    moved = np.zeros(stored.shape, np.float32)
    lengths = np.zeros(count, np.int64)
    infinite = 0
    for i in range(count):  # row by row: MOSEI is 4 GB
        row = stored[i].astype(np.float32)
        finite = np.isfinite(row)
        infinite += int((~finite).sum())
        row[~finite] = 0
        real = np.flatnonzero(np.any((row != 0) | ~finite, axis=1))
        if not len(real):
            continue
        first, last = int(real[0]), int(real[-1]) + 1
        if given is not None and first == 0:
            last = min(max(int(given[i]), 1), steps)
        lengths[i] = last - first
        moved[i, : last - first] = row[first:last]
    return moved, lengths, infinite


def _name(stored: Any) -> str:
    """An id, of MulT's the first of three columns."""
    first = stored if isinstance(stored, (str, bytes)) else np.asarray(stored).reshape(-1)[0]
    return first.decode('utf-8', 'replace') if isinstance(first, bytes) else str(first)
