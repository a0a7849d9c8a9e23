"""Features of frozen encoders, computed once and read from disk instead of from images.

A cache is a folder: ``manifest.json`` says which weights, pipelines and lists it was made of, and
every split is a folder of one array per modality and stage, (views, samples, ...), with the labels
and the metainfo of every sample. ``tools/prepare/cache_features.py`` makes it.
"""

from __future__ import annotations

import hashlib
import json
import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.files import COMPLETE, read_json
from mango_mm.registry import DATASETS, build_ours
from mango_mm.structures import MultiLabelSample

__all__ = [
    'CachedFeatures',
    'list_hash',
    'meta_of',
    'read_manifest',
    'recipe_of',
    'target_of',
]

MANIFEST, METAS, TARGETS = 'manifest.json', 'metas.json', 'targets.npy'
ELSEWHERE = ('data_root', 'check_files', 'lazy_init', 'serialize_data')  # change no sample


def recipe_of(dataset: Mapping[str, Any]) -> str:
    """All that decides the samples of a data set's config, as JSON; not where its root is."""
    plain = dataset.to_dict() if hasattr(dataset, 'to_dict') else dict(dataset)
    return json.dumps(_without_place(plain), sort_keys=True, default=str)


def _without_place(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {k: _without_place(v) for k, v in part.items() if k not in ELSEWHERE}
    return [_without_place(x) for x in part] if isinstance(part, (list, tuple)) else part


def list_hash(dataset: Any) -> str:
    """SHA-256 of what a data set lists: names of samples, files below its root, texts and labels.

    What is inside of files is not looked at.
    """
    root, digest = getattr(dataset, 'data_root', None) or '.', hashlib.sha256()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        named = {
            key: [osp.relpath(p, root) for p in ([value] if isinstance(value, str) else value)]
            for key, value in sorted(info.items())
            if key.endswith('_path') and value is not None
        }
        label = np.asarray(info.get('gt_label', 0)).tolist()
        known = [str(info.get('sample_id', '')), named, str(info.get('text', '')), label]
        digest.update(json.dumps(known).encode())
    return digest.hexdigest()


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """What a cache says of itself.

    Raises:
        FileNotFoundError: If there is none, or one half written.
        ValueError: If it is no manifest.
    """
    folder = Path(folder)
    if not (folder / COMPLETE).is_file() or not (folder / MANIFEST).is_file():
        begun = folder.parent / f'.{folder.name}.unfinished'
        state = 'is only half written' if begun.exists() else 'does not exist'
        raise FileNotFoundError(
            f'the feature cache {folder} {state}: python tools/prepare/cache_features.py CONFIG '
            f'--out {folder} makes it'
            + (', and goes on where it was interrupted' if begun.exists() else '')
            + "; with feature_cache='' images are read."
        )
    manifest: Any = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not {'weights', 'splits'} <= set(manifest):
        raise ValueError(f'{folder / MANIFEST} must have weights and splits; remove {folder}.')
    return manifest


@DATASETS.register_module()
class CachedFeatures:
    """A data set's samples as the features that frozen encoders make of them.

    Its ``inputs`` are ``{modality: (array of stage 1, array of stage 2, ...)}``. A training sample
    is one of the cached augmented views, drawn anew every time.

    Args:
        dataset: Config of the data set that was cached. It is built, for its list and classes, and
            must be the one in the manifest.
        cache: Folder that ``tools/prepare/cache_features.py`` made.
        part: First sample and the one after the last, as in a slice; None: all. So settings are
            chosen on a part of the training list that is not trained on.
        view: The one that every sample gives, as an image of its own, to be validated on; None:
            drawn anew every time, or in a test the first.

    Raises:
        FileNotFoundError: If there is no complete cache.
        ValueError: If it is of another data set, pipeline or list, its arrays are damaged, or the
            part has no sample.
    """

    def __init__(
        self,
        dataset: Mapping[str, Any],
        cache: str | Path,
        part: Sequence[int | None] | None = None,
        view: int | None = None,
    ) -> None:
        self.cache = Path(cache)
        self.manifest = read_manifest(cache)
        self.dataset: Any = build_ours(DATASETS, dict(dataset))
        self.metainfo = self.dataset.metainfo
        self.test_mode = bool(getattr(self.dataset, 'test_mode', False))
        self.split = self._find(recipe_of(dataset))
        known = self.manifest['splits'][self.split]
        found = list_hash(self.dataset)
        if found != known['list']:
            raise ValueError(
                f'the feature cache {cache}, split {self.split!r}, is of another list: it has '
                f'{known["samples"]} samples with hash {known["list"][:12]}, the data set '
                f'{len(self.dataset)} with {found[:12]}. Make it again.'
            )
        self.views: int = known['views']
        folder = self.cache / self.split
        self.metas: list[list[dict[str, Any]]] = read_json(folder / METAS)
        self.targets = self._open(folder / TARGETS, known['targets'])
        self.arrays = {
            m: [self._open(folder / f'{m}_{i}.npy', shape) for i, shape in enumerate(shapes)]
            for m, shapes in known['arrays'].items()
        }
        self.as_images = view is not None
        self.indices = range(len(self.dataset))[slice(*(part or (None,)))]
        if not self.indices or (view is not None and not 0 <= view < self.views):
            raise ValueError(
                f'part and view must be of the {len(self.dataset)} samples and {self.views} views '
                f'of {self.split!r}; got {part} and {view}.'
            )
        self.view = 0 if view is None and (self.test_mode or self.views == 1) else view

    def _find(self, recipe: str) -> str:
        splits: dict[str, Any] = self.manifest['splits']
        for name, known in splits.items():
            if known['recipe'] == recipe:
                return name
        differ = {
            name: _first_difference(known['recipe'], recipe) for name, known in splits.items()
        }
        raise ValueError(
            f'the feature cache {self.cache} was made by another data set or pipeline than the '
            f"config's; first difference by split: {differ}. Make it again with this config."
        )

    def _open(self, path: Path, shape: Sequence[int]) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ValueError(
                f'{path} of the feature cache is damaged: {error}. Remove {self.cache} and make it '
                'again.'
            ) from error
        if list(array.shape) != list(shape):
            raise ValueError(
                f'{path} must have the shape {tuple(shape)} of the manifest; got {array.shape}. '
                f'Remove {self.cache} and make it again.'
            )
        return array

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        seed = getattr(idx, 'seed', None)
        index, view = self.indices[int(idx)], self.view
        if view is None:
            draws = np.random if seed is None else np.random.default_rng(list(seed))
            view = int(draws.random() * self.views)
        return self.sample(index, view)

    def sample(self, index: int, view: int = 0) -> dict[str, Any]:
        """One view of a sample, as a pipeline would pack it."""
        inputs = {
            m: tuple(_tensor(array[view, index]) for array in arrays)
            for m, arrays in self.arrays.items()
        }
        kind = self.manifest['kind']
        target, meta = _tensor(self.targets[view, index]), self.metas[view][index]
        if self.as_images and target.ndim == 3:
            meta = _own_image(meta, target.shape[1:])
        return {
            'inputs': inputs,
            'data_samples': _packed(kind, target, meta),
        }

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the data set lists of a sample."""
        info: dict[str, Any] = self.dataset.get_data_info(self.indices[idx])
        return info

    @property
    def pipeline(self) -> Compose:
        """Nothing comes after the features."""
        return Compose([])


def _own_image(meta: Mapping[str, Any], size: Sequence[int]) -> dict[str, Any]:
    """Metainfo of an augmented view without what led to it: a prediction is not led back."""
    kept = ('img_path', 'sample_id', 'present', 'conditions', 'seg_map_path')
    shapes = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), tuple(size))
    return {**{k: meta[k] for k in kept if k in meta}, **shapes}


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array))


def _packed(kind: str, target: Tensor, meta: Mapping[str, Any]) -> Any:
    """A data sample of what :func:`target_of` and :func:`meta_of` kept."""
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in meta.items()}
    if kind == 'segmentation':
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        sample = SegDataSample(metainfo=lists)
        sample.gt_sem_seg = PixelData(data=target.long())
        return sample
    labelled = MultiLabelSample(metainfo=lists)
    labelled.gt_label = target
    return labelled


def target_of(sample: Any) -> tuple[str, NDArray[Any]]:
    """The kind of a data sample and its label: (1, H, W) uint8, or (C,) float32.

    Raises:
        ValueError: If it has none, or labels that do not fit.
    """
    if 'gt_sem_seg' in sample:
        labels = sample.gt_sem_seg.data.cpu().numpy()
        if labels.min() < 0 or labels.max() > 255:
            raise ValueError(
                f'cached labels must lie in 0..255; got {labels.min()}..{labels.max()}.'
            )
        return 'segmentation', labels.astype(np.uint8)
    if isinstance(sample, MultiLabelSample) and 'gt_label' in sample:
        return 'classification', sample.gt_label.cpu().numpy().astype(np.float32)
    raise ValueError(
        'features are cached of segmentation samples with gt_sem_seg and of multi-label samples '
        f'with gt_label; got a {type(sample).__name__} of {sorted(sample.keys())}.'
    )


def meta_of(sample: Any) -> dict[str, Any]:
    """The metainfo that JSON can hold."""
    return {k: v for k, v in ((k, _plain(v)) for k, v in sample.metainfo.items()) if v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return None


def _first_difference(stored: str, wanted: str) -> str:
    """The first key of two recipes that differs."""
    a, b = json.loads(stored), json.loads(wanted)
    for key in sorted({*a, *b}):
        if a.get(key) != b.get(key):
            return f'{key}: {_short(a.get(key))} in the cache, {_short(b.get(key))} in the config'
    return 'none'


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + '...'
