"""The pickles of CMU-MOSI and CMU-MOSEI, read without running what they hold.

Three kinds are known, all ``{'train', 'valid', 'test'} -> dict``:

    MulT         ``text``, ``audio``, ``vision``, ``labels`` (N, 1, 1); zeros in front
    MultiBench   the same, made by its ``get_raw_data.py``
    MMSA         ``regression_labels`` (N,), and of unaligned files ``audio_lengths``,
                 ``vision_lengths``; zeros at the end

Where lengths are given, they count. Else a sequence's real tokens are those from its first row that
is not all zeros to its last, moved to the front; of aligned files (as many steps in every modality)
from the first of any modality to the last of any, so that they stay aligned. Rows of zeros between
them (words without an embedding, frames without a face) stay. Values that are
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
    stored = {m: np.asarray(split[m]) for m in MODALITIES}
    for m, x in stored.items():
        if x.ndim != 3 or len(x) != len(values) or x.dtype.kind != 'f':
            raise ValueError(
                f'{where}: {m!r} must be ({len(values)}, T, C) floating point; got {x.shape} '
                f'{x.dtype}.'
            )
    spans = {m: _spans(x, split.get(f'{m}_lengths')) for m, x in stored.items()}
    aligned = len({x.shape[1] for x in stored.values()}) == 1
    if aligned and not any(f'{m}_lengths' in split for m in MODALITIES):
        spans = _joint(spans)
    for m, x in stored.items():
        tables[m], tables[f'{m}_length'], infinite = _to_the_front(x, *spans[m])
        odd['values not finite'] += infinite
        odd[f'without {m}'] = int((tables[f'{m}_length'] == 0).sum())
    if 'id' in split:
        tables['id'] = [_name(x) for x in split['id']]
    return tables, odd


Spans = tuple[NDArray[np.int64], NDArray[np.int64]]


def _spans(stored: NDArray[Any], lengths: Any) -> Spans:
    """First real row of every sample, and the one after its last; equal where there is none."""
    count, steps = stored.shape[:2]
    empty = np.zeros(count, bool)
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for i in range(count):  # row by row: MOSEI is 4 GB
        real = np.flatnonzero(np.any(stored[i] != 0, axis=1))
        empty[i] = not len(real)
        if len(real):
            first[i], last[i] = real[0], real[-1] + 1
    if lengths is not None:
        given = np.clip(np.asarray(lengths, dtype=np.int64), 0, steps)
        first, last = np.zeros(count, np.int64), np.where(empty, 0, given)
    return first, last


def _joint(spans: Mapping[str, Spans]) -> dict[str, Spans]:
    """The span of all modalities together, for each that has a token."""
    firsts = np.stack([np.where(a < b, a, np.iinfo(np.int64).max) for a, b in spans.values()])
    first, last = firsts.min(axis=0), np.stack([b for _, b in spans.values()]).max(axis=0)
    first = np.minimum(first, last)
    return {m: (np.where(a < b, first, 0), np.where(a < b, last, 0)) for m, (a, b) in spans.items()}


def _to_the_front(
    stored: NDArray[Any], first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    moved = np.zeros(stored.shape, np.float32)
    infinite = 0
    for i in range(len(stored)):
        row = stored[i, first[i] : last[i]].astype(np.float32)
        finite = np.isfinite(row)
        infinite += int((~finite).sum())
        moved[i, : len(row)] = np.where(finite, row, 0)
    return moved, last - first, infinite


def _name(stored: Any) -> str:
    """An id, of MulT's the first of three columns."""
    first = stored if isinstance(stored, (str, bytes)) else np.asarray(stored).reshape(-1)[0]
    return first.decode('utf-8', 'replace') if isinstance(first, bytes) else str(first)
