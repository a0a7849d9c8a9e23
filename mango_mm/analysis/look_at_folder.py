"""What a folder of somebody's data holds."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mango_mm.files import read_image

__all__ = ['FolderFound', 'ModalityFound', 'look_at_folder']

LOOKED_AT = 50  # files of each modality whose values are read, spread over all
LABELS = re.compile(r'label|mask|annotation|ann_dir|seg|gt', re.IGNORECASE)
SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.npy', '.npz')


@dataclasses.dataclass
class ModalityFound:
    """One subfolder.

    Attributes:
        name: In the config.
        folder: Under the root.
        suffix: What follows the common name.
        names: Of its files.
        channels: Of a file.
        dtype: Of its values.
        low: Smallest value seen.
        high: Largest value seen.
        mean: Of each channel, without zeros where zeros look like missing.
        std: Of each channel.
        zeros: Share of values that are 0.
        size: Height and width of the first file.
    """

    name: str
    folder: str
    suffix: str
    names: set[str]
    channels: int
    dtype: str
    low: float
    high: float
    mean: list[float]
    std: list[float]
    zeros: float
    size: tuple[int, int]

    @property
    def is_rgb(self) -> bool:
        """Whether ``LoadImage`` loads it."""
        return self.channels == 3 and self.dtype == 'uint8'


@dataclasses.dataclass
class FolderFound:
    """All of a folder.

    Attributes:
        root: The folder.
        modalities: What a model reads, RGB first.
        labels: Folder and suffix of the label maps; None: none was found.
        label_counts: Pixels of every stored value.
        names: Of the samples that have a label map, sorted.
        oddities: What a person should look at.
    """

    root: Path
    modalities: list[ModalityFound]
    labels: tuple[str, str] | None
    label_counts: Counter[int]
    names: list[str]
    oddities: list[str]

    def lines(self) -> list[str]:
        """What was found, for a person."""
        said = [
            f'{m.name}: {m.folder}/*{m.suffix}, {len(m.names)} files of {m.size[0]} x {m.size[1]}, '
            f'{m.channels} channels of {m.dtype}, {m.low:g} to {m.high:g}, {m.zeros:.1%} zeros'
            for m in self.modalities
        ]
        if self.labels:
            total = sum(self.label_counts.values())
            shares = ', '.join(
                f'{v}: {c / total:.1%}' for v, c in sorted(self.label_counts.items())
            )
            said.append(f'labels: {self.labels[0]}/*{self.labels[1]}; stored values {shares}')
        return [*said, f'{len(self.names)} samples', *(f'LOOK: {x}' for x in self.oddities)]


def look_at_folder(root: str | Path, labels: str | None = None) -> FolderFound:
    """Find modalities and label maps in the subfolders of a folder.

    Args:
        root: The folder.
        labels: Subfolder of the label maps; None: the one whose name says so.

    Raises:
        FileNotFoundError: If there is no such folder, or no file in it that is known.
        ValueError: If there is no modality, or a file cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f'the folder {root} does not exist.')
    groups = _groups(root)
    if not groups:
        raise FileNotFoundError(f'{root} holds no subfolder with files {SUFFIXES}.')
    chosen = labels or next((f for f, _ in groups if LABELS.search(Path(f).name)), None)
    if labels is not None and not any(f == labels for f, _ in groups):
        raise FileNotFoundError(
            f'{root} has no subfolder {labels!r}; it has {sorted(f for f, _ in groups)}.'
        )
    oddities: list[str] = []
    label = next(((f, s) for f, s in groups if f == chosen), None)
    found = [
        _look_at(root, folder, suffix, names)
        for (folder, suffix), names in groups.items()
        if folder != chosen
    ]
    if not found:
        raise ValueError(f'{root} has no modality beside its label maps.')
    found.sort(key=lambda m: (not m.is_rgb, m.folder))
    images = [m for m in found if m.is_rgb]
    for m in images[:1]:
        m.name = 'rgb'
    everything = set().union(*(m.names for m in found))
    names = sorted(everything if label is None else everything & groups[label])
    counts: Counter[int] = Counter()
    if label is None:
        oddities.append(
            'no subfolder is called label, mask, annotation or seg: name it by --labels.'
        )
    else:
        counts = _count_labels(root, label, names)
        without = len(everything - groups[label])
        if without:
            oddities.append(f'{without} samples have no label map and are left out.')
    for m in found:
        lacking = len(set(names) - m.names)
        if lacking:
            oddities.append(
                f'{lacking} of {len(names)} samples lack {m.name}: missing=absent is set.'
            )
        if m.low == m.high:
            oddities.append(f'{m.name} is {m.low:g} everywhere in the files looked at.')
    if len({m.size for m in found}) > 1:
        sizes = {m.name: m.size for m in found}
        oddities.append(f'modalities differ in size: {sizes}; they are resampled to the first.')
    return FolderFound(root, found, label, counts, names, oddities)


def _groups(root: Path) -> dict[tuple[str, str], set[str]]:
    """Names by folder and suffix; of each folder its commonest suffix."""
    groups: dict[tuple[str, str], set[str]] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith('.')):
        files = [
            p for p in folder.rglob('*')
            if p.is_file() and p.suffix.lower() in SUFFIXES and not p.name.startswith('.')
        ]  # fmt: skip
        if not files:
            continue
        suffix = Counter(p.suffix for p in files).most_common(1)[0][0]
        names = [str(p.relative_to(folder))[: -len(suffix)] for p in files if p.suffix == suffix]
        groups[folder.name, suffix] = set(names)
    return _without_tags(groups)


def _without_tags(groups: dict[tuple[str, str], set[str]]) -> dict[tuple[str, str], set[str]]:
    """Names without what all files of a folder end in, and no others do: ``a_thermal.png``."""
    every: Counter[str] = Counter(n for names in groups.values() for n in names)
    shared = {n for n, c in every.items() if c > 1}
    cleaned = {}
    for (folder, suffix), names in groups.items():
        tags = Counter(re.sub(r'^.*?(_[A-Za-z]+)?$', r'\1', n) for n in names)
        tag = next(iter(tags)) if len(tags) == 1 else ''
        if tag and not names & shared:
            cleaned[folder, f'{tag}{suffix}'] = {n[: -len(tag)] for n in names}
        else:
            cleaned[folder, suffix] = names
    return cleaned


def _spread(names: set[str]) -> list[str]:
    ordered = sorted(names)
    picks = np.linspace(0, len(ordered) - 1, min(LOOKED_AT, len(ordered))).round().astype(int)
    return [ordered[i] for i in picks]


def _read(path: Path) -> NDArray[np.generic]:
    if path.suffix == '.npy':
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file[file.files[0]])
    return np.asarray(read_image(path, 'image'))


def _look_at(root: Path, folder: str, suffix: str, names: set[str]) -> ModalityFound:
    samples = []
    for name in tqdm(_spread(names), desc=f'look at {folder}', unit='file', leave=False):
        path = root / folder / f'{name}{suffix}'
        try:
            values = _read(path)
        except Exception as error:
            raise ValueError(f'{path} cannot be read: {error}') from error
        samples.append(values if values.ndim == 3 else values[..., None])
    channels = {x.shape[2] for x in samples}
    if len(channels) > 1:
        raise ValueError(f'files of {root / folder} differ in channels: {sorted(channels)}.')
    flat = np.concatenate([x.reshape(-1, x.shape[2]) for x in samples]).astype(np.float64)
    flat = flat[np.isfinite(flat).all(axis=1)]
    zeros = float((flat == 0).mean())
    kind = str(samples[0].dtype)
    rgb = flat.shape[1] == 3 and kind == 'uint8'
    # As the written config reads them: a 0 is a measurement that is missing, but in RGB.
    measured = [x if rgb or not x.any() else x[x != 0] for x in flat.T]
    return ModalityFound(
        name=re.sub(r'\W', '_', folder.lower()), folder=folder, suffix=suffix, names=names,
        channels=flat.shape[1], dtype=kind, low=float(flat.min()), high=float(flat.max()),
        mean=[round(float(x.mean()), 4) for x in measured],
        std=[max(round(float(x.std()), 4), 1e-3) for x in measured], zeros=zeros,
        size=(samples[0].shape[0], samples[0].shape[1]),
    )  # fmt: skip


def _count_labels(root: Path, label: tuple[str, str], names: list[str]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for name in tqdm(names, desc='count labels', unit='file', leave=False):
        path = root / label[0] / f'{name}{label[1]}'
        stored = _read(path)
        if stored.ndim != 2 or stored.dtype.kind not in 'iub':
            raise ValueError(
                f'{path} must be a label map, (H, W) of whole numbers; got {stored.shape} '
                f'{stored.dtype}. Is {label[0]!r} the folder of the labels? See --labels.'
            )
        values, sizes = np.unique(stored, return_counts=True)
        counts.update({int(v): int(c) for v, c in zip(values, sizes)})
    return counts
