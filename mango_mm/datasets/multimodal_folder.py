"""Folders of files that share their names: the layout of one's own data, without any list.

    data_root/
        rgb/    a.jpg  b.jpg  c.jpg
        depth/  a.png         c.png       missing='absent': b lacks its depth
        labels/ a.png  b.png  c.png

A split is a subfolder of each, or a list of names.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.palette import distinct_colours
from mango_mm.files import read_lines
from mango_mm.modalities import Modalities, specs_by_name
from mango_mm.registry import DATASETS

__all__ = ['MultimodalFolderDataset']


@DATASETS.register_module()
class MultimodalFolderDataset(MultimodalSegDataset):
    """Aligned images of any modalities with one label map, paired by the names of their files.

    Args:
        modalities: A list of dicts, each with the ``name`` of a modality, its ``folder`` under
            ``data_root``, and the ``suffix`` of its files, what follows the common name
            (``'.jpg'``, ``'_thermal.tiff'``). ``rgb`` is what ``LoadImage`` loads, any other name
            what ``LoadArray(key=NAME)`` loads, or ``LoadDepth``.
        labels: A dict with ``folder`` and ``suffix`` of the label maps; None: there are none.
        metainfo: A dict with ``classes``, their names by index, and ``palette``, their colours in
            RGB; without one, distinct ones.
        label_map: A table of pairs [stored value, index of the class]; what is not in it is
            ignored. None: values are indices.
        ann_file: A list of names, one per line, relative to ``data_root``; empty: all there are.
        void_zero: Stored labels are 1..K with 0 = void.
        missing: See :class:`MultimodalSegDataset`.
        **others: The same as in mmengine's BaseDataset.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        ValueError: If no file of a folder has the suffix, or a label is mapped to no class.
    """

    def __init__(
        self,
        modalities: Modalities,
        labels: Mapping[str, str] | None = None,
        *,
        metainfo: Mapping[str, Any] | None = None,
        label_map: Sequence[Sequence[int]] | None = None,
        ann_file: str = '',
        void_zero: bool = False,
        missing: str = 'error',
        **others: Any,
    ) -> None:
        meta = dict(metainfo or {})
        classes = meta['classes'] = tuple(meta.get('classes', ()))
        meta.setdefault('palette', distinct_colours(len(classes)))
        specs = specs_by_name(modalities)
        self.places = {name: (spec['folder'], spec['suffix']) for name, spec in specs.items()}
        self.labels = None if labels is None else (labels['folder'], labels['suffix'])
        self.label_map = None if label_map is None else {int(a): int(b) for a, b in label_map}
        wrong = {b for b in (self.label_map or {}).values() if not 0 <= b < len(classes)}
        if wrong:
            raise ValueError(
                f'label_map must lead to the classes 0..{len(classes) - 1}; got {sorted(wrong)}.'
            )
        self.METAINFO = meta  # mmseg's tools read it off the class
        super().__init__(
            ann_file=ann_file, modalities=tuple(specs), columns=(*specs, 'label'),
            void_zero=void_zero, missing=missing, metainfo=meta, **others,
        )  # fmt: skip

    def load_data_list(self) -> list[dict[str, Any]]:
        samples = []
        places = dict(self.places) if self.labels is None else {**self.places, 'label': self.labels}
        for name in self._names():
            paths = {m: f'{folder}/{name}{suffix}' for m, (folder, suffix) in places.items()}
            where = f'{self.data_root}, {name}'
            samples.append(self.sample(paths, where, sample_id=name, label_map=self.label_map))
        return samples

    def _names(self) -> list[str]:
        """What the files are called without their suffixes, sorted, or as the list has them."""
        if self.ann_file and osp.isfile(self.ann_file):
            return [line for _, line in read_lines(self.ann_file)]
        if self.ann_file and osp.abspath(self.ann_file) != osp.abspath(self.data_root or ''):
            raise FileNotFoundError(f'the list {self.ann_file} does not exist.')
        found: set[str] = set()
        for modality, (folder, suffix) in self.places.items():
            root = Path(self.data_root, folder)
            if not root.is_dir():
                raise FileNotFoundError(f'the folder {root} of {modality!r} does not exist.')
            names = {
                str(p.relative_to(root))[: -len(suffix)]
                for p in root.rglob(f'*{suffix}')
                if p.is_file() and not p.name.startswith('.')
            }
            if not names:
                raise ValueError(f'no file in {root} ends in {suffix!r}; it is of {modality!r}.')
            found |= names
        return sorted(found)
