"""Segmentation with several aligned images per sample: what its datasets share.

Two layouts on disk are read:

``tab_list`` (TokenFusion, CEN, GeminiFusion)
    A list file with one sample per line, columns separated by tabs:
    ``rgb/X.png<TAB>masks/X.png<TAB>depth/X.png``. Labels 0..K-1, 255 = ignore.
``dformer`` (DFormer, CMX, CMNeXt)
    ``RGB/X.jpg``, ``Label/X.png``, ``Depth/X.png`` or ``HHA/X.jpg``; list lines are bare
    stems or begin with ``RGB/X.jpg``. Labels 1..K, 0 = void.
"""

from __future__ import annotations

import contextlib
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from mango_mm.datasets.draws import SeededDraws
from mango_mm.datasets.label_counts import LabelCounts
from mango_mm.datasets.transforms.missing import hand_on
from mango_mm.files import inside, read_image, read_lines
from mango_mm.registry import DATASETS

__all__ = ['MultimodalSegDataset']

LAYOUTS = ('tab_list', 'dformer')
MISSING = ('error', 'absent')
PATH_KEYS = {'rgb': 'img_path', 'label': 'seg_map_path'}  # mmseg's names; others: <modality>_path


@DATASETS.register_module()
class MultimodalSegDataset(SeededDraws, BaseDataset):
    """Aligned images of several modalities with one label map.

    Args:
        ann_file: The list, relative to ``data_root``.
        layout: ``'tab_list'`` or ``'dformer'``.
        modalities: Those that the pipeline loads; each must be in the data.
        columns: Of a tab list, what its columns hold.
        folders: Of a DFormer layout, (folder, suffix) of each modality and the label,
            where they differ from the published ones.
        void_zero: Labels are 1..K with 0 = void; None: as the layout says.
        check_files: Look for every file when the dataset is built, so that a missing
            one is found before hours of training, not during them.
        missing: ``'error'``, or ``'absent'``: a sample whose file of a modality does not exist
            has ``present`` in its metainfo, in which that modality is False. Fusions, heads and
            inference leave it out; the label map must exist all the same.
        **others: The same as in mmengine's BaseDataset.

    Raises:
        FileNotFoundError: If the list or a file in it does not exist.
        ValueError: If a line does not fit the layout, a modality is not in the data, or a sample
            has none of them.
    """

    FOLDERS: dict[str, tuple[str, str]] = {
        'rgb': ('RGB', '.jpg'),
        'label': ('Label', '.png'),
        'depth': ('Depth', '.png'),
        'hha': ('HHA', '.jpg'),
    }
    label_channel: int | None = None  # of label maps that are colour images
    # Samples that the authors publish, by name of the split; check_data compares.
    SIZES: dict[str, int] = {}
    # mmseg's tools read these off a data set whose labels are what the pipeline makes of them.
    ignore_index = 255
    reduce_zero_label = False

    def __init__(
        self,
        ann_file: str = 'train.txt',
        *,
        layout: str = 'tab_list',
        modalities: Sequence[str] = ('rgb', 'depth'),
        columns: Sequence[str] = ('rgb', 'label', 'depth'),
        folders: dict[str, tuple[str, str]] | None = None,
        void_zero: bool | None = None,
        check_files: bool = True,
        missing: str = 'error',
        **others: Any,
    ) -> None:
        if missing not in MISSING:
            raise ValueError(f'missing must be one of {MISSING}; got {missing!r}.')
        self.missing = missing
        if layout not in LAYOUTS:
            raise ValueError(f'layout must be one of {LAYOUTS}; got {layout!r}.')
        self.layout, self.columns = layout, tuple(columns)
        self.modalities = tuple(modalities)
        self.folders = {**self.FOLDERS, **(folders or {})}
        self.void_zero = layout == 'dformer' if void_zero is None else void_zero
        self.check_files = check_files
        known = self.columns if layout == 'tab_list' else tuple(self.folders)
        absent = [m for m in self.modalities if m not in known]
        if absent:
            raise ValueError(
                f'{type(self).__name__}: the config asks for modality {absent[0]!r}; '
                f'the data ({layout}) has {[k for k in known if k != "label"]}.'
            )
        others.setdefault('data_prefix', dict())
        super().__init__(ann_file=ann_file, **others)
        hand_on(self.pipeline.transforms)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict per sample, with the keys that mmseg's transforms expect."""
        if not osp.isfile(self.ann_file):
            raise FileNotFoundError(
                f'{type(self).__name__}: list file {self.ann_file} does not exist; '
                f'{self.how_to_get()}'
            )
        lines = read_lines(self.ann_file)
        if not lines:
            raise ValueError(f'{self.ann_file} lists no sample.')
        parse = self._parse_columns if self.layout == 'tab_list' else self._parse_stem
        samples = []
        for number, line in lines:
            where = f'{self.ann_file}, line {number}'
            samples.append(self.sample(parse(line, where), where))
        return samples

    def sample(
        self, paths: Mapping[str, str | Sequence[str]], where: str, **known: Any
    ) -> dict[str, Any]:
        """What the pipeline gets of one sample.

        Args:
            paths: Relative to ``data_root``, by modality, and ``label``; a list where the channels
                of a modality lie in several files.
            where: For errors: the list and line, or the sample.
            **known: What is known of it besides: ``sample_id``, ``conditions``, ``label_map``.

        Raises:
            FileNotFoundError: If a file does not exist, and must.
            ValueError: If a path leads out of ``data_root``, or the sample has no modality.
        """
        sample: dict[str, Any] = {}
        for name in paths:
            if name not in ('label', 'rgb', *self.modalities):
                continue
            files = [inside(self.data_root, path, where) for path in files_of(paths[name])]
            key = PATH_KEYS.get(name, f'{name}_path')
            sample[key] = files[0] if isinstance(paths[name], str) else files
        if self.missing == 'absent':
            sample['present'] = self._presence(sample, where)
        if self.check_files:
            self._check(sample, where)
        given = dict(label_map=None, reduce_zero_label=self.void_zero, seg_fields=[])
        return {**sample, **given, **known}

    def count_labels(self, limit: int | None = None) -> LabelCounts:
        """Count the pixels of every label as stored.

        Args:
            limit: Label maps at most, spread over the list; None: all. Those that cannot be read
                are left out: training says what is wrong with them.
        """
        total = len(self)
        count = total if limit is None else min(limit, total)
        counts = LabelCounts(self.void_zero, self.metainfo.get('classes', ()), total=total)
        for index in np.linspace(0, max(0, total - 1), count).round().astype(int):
            path = self.get_data_info(int(index)).get('seg_map_path')
            if path is None:
                continue
            with contextlib.suppress(OSError, ValueError):
                stored = np.asarray(read_image(path, 'label'))
                if stored.ndim == 3 and self.label_channel is not None:
                    stored = stored[..., self.label_channel]
                if stored.ndim == 2 and stored.dtype.kind in 'iub' and 0 <= stored.min():
                    counts.add(np.minimum(stored, 255).astype(np.int64))
        return counts

    def how_to_get(self) -> str:
        """Where the data comes from, for error messages."""
        return 'see the docstring of its class for the layout on disk.'

    def _parse_columns(self, line: str, where: str) -> dict[str, str]:
        parts = line.split('\t')
        if len(parts) != len(self.columns):
            raise ValueError(
                f'{where}: a line must have {len(self.columns)} tab-separated columns '
                f'{self.columns}; got {len(parts)}: {line!r}.'
            )
        return dict(zip(self.columns, parts))

    def _parse_stem(self, line: str, where: str) -> dict[str, str]:
        first = line.split()[0]
        stem = osp.splitext(osp.basename(first))[0] if '/' in first else first
        if not stem:
            raise ValueError(
                f'{where}: a line must be a stem or begin with RGB/X.jpg; got {line!r}.'
            )
        return {name: f'{folder}/{stem}{suffix}' for name, (folder, suffix) in self.folders.items()}

    def _presence(self, sample: dict[str, Any], where: str) -> dict[str, bool]:
        """Which modalities have a file; the paths of the others become None."""
        present = {}
        for name in self.modalities:
            key = PATH_KEYS.get(name, f'{name}_path')
            present[name] = all(map(osp.isfile, files_of(sample[key])))
            if not present[name]:
                sample[key] = None
        if not any(present.values()):
            raise ValueError(f'{where}: the sample has no file of any of {self.modalities}.')
        return present

    def _check(self, sample: dict[str, Any], where: str) -> None:
        for key, path in sample.items():
            for file in files_of(path) if key.endswith('_path') else ():
                if not osp.isfile(file):
                    raise FileNotFoundError(
                        f'{where}: the {key.removesuffix("_path")} file {file} does not exist.'
                    )


def files_of(path: str | Sequence[str] | None) -> Sequence[str]:
    """The files of a modality: none, one, or several whose channels lie side by side."""
    if path is None:
        return ()
    return (path,) if isinstance(path, str) else path
