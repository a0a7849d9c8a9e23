"""Taskonomy: aligned image domains of indoor scenes, for image-to-image translation.

Source and licence:
    http://taskonomy.stanford.edu (Zamir et al., CVPR 2018); free for research after agreeing
    to its terms. CEN, TokenFusion, GeminiFusion and MANGO use one building, Cauthron
    (``alexsax/taskonomy-sample-model-1``): 1000 training and 500 validation views.
Layout on disk:
    ``lists``      ``{domain}/point_P_view_V_domain_{domain}.png``, and ``train_domain.txt`` and
                   ``val_domain.txt`` with one such template per line (CEN, TokenFusion).
    ``buildings``  ``{building}/{folder}/point_P_view_V_domain_{domain}.png``, folders as in the
                   official release (``mist``, ``reshade``, ...), and a list of building names
                   or of ``building point view`` lines.
Modalities:
    the domains of :mod:`mango_mm.domains`, with type, unit and range.
Splits:
    those of the lists. All views of the papers come from one building, so that training and
    validation views show the same rooms.
Citation:
    Zamir, Sax, Shen, Guibas, Malik, Savarese: Taskonomy: Disentangling Task Transfer
    Learning. CVPR 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from mango_mm.datasets.draws import SeededDraws
from mango_mm.domains import get_domain
from mango_mm.files import inside, read_lines
from mango_mm.registry import DATASETS

__all__ = ['TaskonomyDataset']

LAYOUTS = ('lists', 'buildings')
NAME = re.compile(r'point_(\d+)_view_(\d+)_domain_')


@DATASETS.register_module()
class TaskonomyDataset(SeededDraws, BaseDataset):
    """Any source domains and one target domain of the same views.

    Args:
        sources: Domains that a model sees, in this order.
        target: The domain that it should produce; None: none, for autoencoders.
        ann_file: The list, relative to ``data_root``.
        layout: ``'lists'`` or ``'buildings'``.
        check_files: Look for every file when the dataset is built, so that a missing
            one is found before hours of training, not during them.
        **others: The same as in mmengine's BaseDataset.

    Raises:
        FileNotFoundError: If the list or a file that it names does not exist.
        KeyError: If a domain is unknown.
        ValueError: If a line of the list does not fit the layout, or the target is a source.
    """

    METAINFO = {'dataset_type': 'taskonomy', 'task_name': 'translation'}

    def __init__(
        self,
        sources: Sequence[str],
        target: str | None,
        ann_file: str = 'train_domain.txt',
        *,
        layout: str = 'lists',
        check_files: bool = True,
        **others: Any,
    ) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f'layout must be one of {LAYOUTS}; got {layout!r}.')
        self.sources, self.target = tuple(sources), target
        self.domains = (*self.sources, *([] if target is None else [target]))
        for name in self.domains:
            get_domain(name)
        if not self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f'sources must be distinct domains, at least one; got {sources}.')
        if target in self.sources:
            raise ValueError(f'the target {target!r} is one of the sources {self.sources}.')
        self.layout, self.check_files = layout, check_files
        super().__init__(ann_file=ann_file, **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'the list {path} does not exist; tools/prepare/taskonomy.py writes lists for a '
                'download, tools/prepare/taskonomy_from_rgbd.py makes data from RGB-D frames.'
            )
        root = Path(self.data_root or '.')
        read = self._read_template if self.layout == 'lists' else self._read_building
        samples = [
            sample
            for number, line in read_lines(path)
            for sample in read(line, root, f'{path}, line {number}')
        ]
        if not samples:
            raise ValueError(f'the list {path} is empty.')
        if self.check_files:
            for sample in samples:
                for domain in self.domains:
                    if not Path(sample[f'{domain}_path']).is_file():
                        raise FileNotFoundError(
                            f'{sample["listed"]} needs {domain} in {sample[f"{domain}_path"]}, '
                            'which does not exist.'
                        )
        return samples

    def _read_template(self, line: str, root: Path, where: str) -> list[dict[str, Any]]:
        if '{domain}' not in line:
            raise ValueError(f'{where} must be a path with {{domain}} in it; got {line!r}.')
        inside(root, line, where)
        paths = {d: root / line.replace('{domain}', d) for d in self.domains}
        return [self._sample(paths, where)]

    def _read_building(self, line: str, root: Path, where: str) -> list[dict[str, Any]]:
        building, *view = line.split()
        if len(view) not in (0, 2) or not all(v.isdigit() for v in view):
            raise ValueError(f"{where} must be 'building' or 'building point view'; got {line!r}.")
        inside(root, building, where)
        views = [(int(view[0]), int(view[1]))] if view else self._views(root / building, where)
        samples = []
        for p, v in views:
            paths = {
                d: root / building / get_domain(d).folder / f'point_{p}_view_{v}_domain_{d}.png'
                for d in self.domains
            }
            samples.append(self._sample(paths, where))
        return samples

    def _views(self, building: Path, where: str) -> list[tuple[int, int]]:
        """All views of a building that its last domain has."""
        folder = building / get_domain(self.domains[-1]).folder
        if not folder.is_dir():
            raise FileNotFoundError(f'{where} needs the folder {folder}, which does not exist.')
        found = [NAME.match(path.name) for path in folder.glob(f'*_domain_{self.domains[-1]}.png')]
        views = sorted((int(m[1]), int(m[2])) for m in found if m)
        if not views:
            raise FileNotFoundError(
                f'{folder} holds no point_P_view_V_domain_{self.domains[-1]}.png.'
            )
        return views

    def _sample(self, paths: dict[str, Path], where: str) -> dict[str, Any]:
        sample: dict[str, Any] = {f'{domain}_path': str(path) for domain, path in paths.items()}
        stem = paths[self.domains[-1]].name.split('_domain_')[0]
        return {
            **sample, 'sources': self.sources, 'target': self.target, 'view': stem,
            'listed': where,
        }  # fmt: skip
