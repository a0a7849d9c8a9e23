"""Sequences of features of several modalities: sentiment, skeletons, time series beside images.

Layout on disk: one file per split, HDF5 (``.h5``) or ``.npz``, with N samples:

    ``<modality>``          (N, T_m, C_m) numbers: T_m tokens, the real ones first
    ``<modality>_length``   (N,) how many are real; without it all are. 0: the sample lacks it
    ``label``               (N,) or (N, R) numbers, (N,) classes, or (N, C) of 0 and 1
    ``id``                  (N,) names; without it their numbers

``tools/prepare/multibench.py`` makes them of CMU-MOSI and CMU-MOSEI, ``tools/prepare/skeletons.py``
of NTU RGB+D, ``tools/prepare/mini_sequences.py`` generates some.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from mango_mm.datasets.draws import SeededDraws
from mango_mm.files import open_hdf5
from mango_mm.modalities import Modalities, channels_by_name
from mango_mm.registry import DATASETS

__all__ = ['TokenSequenceDataset', 'open_sequences']

KINDS = ('regression', 'multi_class', 'multi_label')
LABEL, ID, LENGTH = 'label', 'id', '_length'


@DATASETS.register_module()
class TokenSequenceDataset(SeededDraws, BaseDataset):
    """Samples of several token sequences with numbers, a class, or labels.

    Args:
        ann_file: The file of the split, relative to ``data_root``.
        modalities: A list of dicts with ``name`` and ``channels``, some of those in the file.
        kind: What ``label`` is: ``'regression'``, ``'multi_class'`` or ``'multi_label'``.
        classes: Their names, of the latter two.
        **others: The same as in mmengine's BaseDataset.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it does not hold what it should; named.
    """

    METAINFO = {'dataset_type': 'token_sequences'}

    def __init__(
        self,
        ann_file: str,
        modalities: Modalities,
        kind: str = 'regression',
        classes: Sequence[str] = (),
        **others: Any,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f'kind must be one of {KINDS}; got {kind!r}.')
        self.channels, self.kind = channels_by_name(modalities), kind
        metainfo = {**others.pop('metainfo', {}), 'classes': tuple(classes)}
        super().__init__(ann_file=ann_file, metainfo=metainfo, **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict per sample: its file and row, label, lengths, and what it has."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist; {type(self).__name__} needs a file as '
                'mango_mm/datasets/token_sequences.py says.'
            )
        names = [*self.channels, *(f'{m}{LENGTH}' for m in self.channels), LABEL, ID]
        with open_sequences(path, names) as tables:
            labels = self._labels(tables, path)
            count = len(labels)
            lengths = {m: self._lengths(tables, m, count, path) for m in self.channels}
            ids = _names(tables[ID][()]) if ID in tables else [str(i) for i in range(count)]
        if len(ids) != count:
            raise ValueError(f'{path}: {ID!r} must name {count} samples; got {len(ids)}.')
        samples = []
        for row in range(count):
            own = {m: int(lengths[m][row]) for m in self.channels}
            if not any(own.values()):
                raise ValueError(f'{path}: sample {ids[row]} has no token of {[*self.channels]}.')
            samples.append(
                dict(
                    path=str(path), row=row, sample_id=ids[row], gt_label=labels[row],
                    lengths=own, present={m: n > 0 for m, n in own.items()},
                )
            )  # fmt: skip
        return samples

    def _labels(self, tables: Mapping[str, Any], path: Path) -> NDArray[Any]:
        if LABEL not in tables:
            raise ValueError(f'{path} must hold {LABEL!r}; it holds {sorted(tables)}.')
        labels = np.asarray(tables[LABEL][()])
        if not labels.size or not np.isfinite(labels.astype(np.float64)).all():
            raise ValueError(f'{path}: {LABEL!r} must hold finite numbers; got {labels.shape}.')
        count = len(self.metainfo['classes'])
        if self.kind == 'regression':
            return labels.reshape(len(labels), -1).astype(np.float32)
        if self.kind == 'multi_class':
            wrong = (labels != labels.astype(np.int64)) | (labels < 0) | (labels >= count)
            if labels.ndim != 1 or wrong.any():
                raise ValueError(
                    f'{path}: {LABEL!r} must be classes 0..{count - 1}, (N,); got {labels.shape}, '
                    f'{labels.min()} to {labels.max()}.'
                )
            return labels.astype(np.int64)
        if labels.ndim != 2 or labels.shape[1] != count or not np.isin(labels, (0, 1)).all():
            raise ValueError(
                f'{path}: {LABEL!r} must be (N, {count}) of 0 and 1; got {labels.shape}.'
            )
        return labels.astype(np.float32)

    def _lengths(
        self, tables: Mapping[str, Any], modality: str, count: int, path: Path
    ) -> NDArray[np.int64]:
        if modality not in tables:
            raise ValueError(f'{path} must hold {modality!r}; it holds {sorted(tables)}.')
        shape = tables[modality].shape
        channels = self.channels[modality]
        if len(shape) != 3 or shape[0] != count or shape[2] != channels or not shape[1]:
            raise ValueError(
                f'{path}: {modality!r} must be ({count}, T, {channels}); got {tuple(shape)}.'
            )
        name = f'{modality}{LENGTH}'
        if name not in tables:
            return np.full(count, shape[1])
        lengths = np.asarray(tables[name][()]).astype(np.int64)
        if lengths.shape != (count,) or lengths.min() < 0 or lengths.max() > shape[1]:
            raise ValueError(
                f'{path}: {name!r} must be {count} numbers of 0..{shape[1]}; got {lengths.shape}, '
                f'{lengths.min()} to {lengths.max()}.'
            )
        return lengths


@contextlib.contextmanager
def open_sequences(path: str | Path, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The tables of a file of sequences, read row by row or, of ``.npz``, whole.

    Raises:
        ValueError: If it cannot be read.
    """
    if str(path).endswith('.npz'):
        try:
            with np.load(path, allow_pickle=False) as found:
                yield {name: found[name] for name in names if name in found.files}
        except FileNotFoundError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f'{path} cannot be read: {error}.') from error
        return
    with open_hdf5(path, *names) as file:
        yield {name: file[name] for name in names if name in file}


def _names(stored: Any) -> list[str]:
    return [x.decode('utf-8', 'replace') if isinstance(x, bytes) else str(x) for x in stored]
