"""Data sets whose splits are folders, without lists, and without a validation split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.files import own_files

__all__ = ['SplitFoldersDataset']

SPLITS = ('train', 'val', 'test')


class SplitFoldersDataset(MultimodalSegDataset):
    """``<split>/<folder of a modality>/<name><suffix>``, paired by name.

    The authors give training and test data alone. Choosing anything on the test data is no
    experiment, so that a validation split is held out of the training data.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        hold_out: Every so manieth name of the training data, in order, is validated on instead;
            None: all are trained on, and there is no validation split.
        **others: The same as in :class:`MultimodalSegDataset`.

    Raises:
        ValueError: If the split is unknown or not there.
        FileNotFoundError: If a folder or file does not exist.
    """

    def __init__(self, split: str = 'train', *, hold_out: int | None = 10, **others: Any) -> None:
        if split not in SPLITS or (split == 'val' and hold_out is None):
            raise ValueError(
                f'split must be one of {SPLITS}, val only where some are held out; got {split!r} '
                f'with hold_out={hold_out}.'
            )
        if hold_out is not None and hold_out < 2:
            raise ValueError(f'hold_out must be 2 or more, or None; got {hold_out}.')
        self.split, self.hold_out = split, hold_out
        others.setdefault('modalities', tuple(m for m in self.FOLDERS if m != 'label'))
        super().__init__('', layout='dformer', **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict per sample, with the keys that mmseg's transforms expect."""
        on_disk = 'test' if self.split == 'test' else 'train'
        folder, suffix = self.folders['rgb']
        root = Path(self.data_root or '', on_disk, folder)
        if not root.is_dir():
            raise FileNotFoundError(f'the folder {root} does not exist; {self.how_to_get()}')
        names = [p.name.removesuffix(suffix) for p in own_files(root, f'*{suffix}')]
        if not names:
            raise ValueError(f'no file in {root} ends in {suffix!r}.')
        if self.split != 'test' and self.hold_out is not None:
            last = self.hold_out - 1
            held = names[last :: self.hold_out]
            chosen = set(held)
            names = held if self.split == 'val' else [n for n in names if n not in chosen]
            if not names:
                raise ValueError(
                    f'{root} has too few images to hold out every {self.hold_out}th: no sample is '
                    f'left for {self.split!r}. Set hold_out.'
                )
        places = {m: self.folders[m] for m in ('rgb', *self.modalities, 'label')}
        return [
            self.sample(
                {m: f'{on_disk}/{folder}/{name}{suffix}' for m, (folder, suffix) in places.items()},
                f'{root.parent}, {name}',
                sample_id=f'{on_disk}/{name}',
            )
            for name in names
        ]
