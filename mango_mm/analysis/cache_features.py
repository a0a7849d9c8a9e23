"""Writes what frozen encoders make of a config's data: the cache that ``CachedFeatures`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from numpy.typing import NDArray
from tqdm import tqdm

from mango_mm.analysis.degraded_pipeline import frame_degradation, unit_of, with_degradation
from mango_mm.apis.open_model import model_config
from mango_mm.apis.run import load_config
from mango_mm.checkpoints import load_weights
from mango_mm.datasets.cached_features import (
    MANIFEST,
    METAS,
    TARGETS,
    list_hash,
    meta_of,
    recipe_of,
    target_of,
)
from mango_mm.datasets.draws import Draw
from mango_mm.engine.console_runner import quiet_hosts
from mango_mm.engine.whole_files import write_whole
from mango_mm.files import is_made, made_whole
from mango_mm.pipelines import name_of, plain_training_loader
from mango_mm.registry import DATASETS, MODELS

__all__ = ['cache_features']

PROGRESS = 'progress.json'
SAVE_EVERY = 16  # batches
SPLITS = ('train', 'val', 'test')


def cache_features(
    config: str | Path | Config,
    out: str | Path,
    *,
    views: int = 1,
    plain: bool = False,
    degradations: Sequence[tuple[str, int]] = (),
    options: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    dtype: str = 'float16',
    seed: int = 0,
) -> Path:
    """Cache the features of every split of a config whose encoders are frozen.

    A cache is there complete or not at all; an interrupted run is gone on with, and a complete one
    of the same config and weights is left as it is.

    Args:
        config: A file or a config, with ``model.backbone.frozen=True`` or ``FrozenEncoder``.
        out: Folder of the cache.
        views: Augmented views of every training sample.
        plain: Also the training samples without augmentation, by the pipeline of the validation:
            what a trust is fitted and calibrated on.
        degradations: Kinds and severities of ``mango_mm/datasets/degradations.py``, each of which
            makes another version of the validation split.
        options: Overrides of the config.
        batch_size: Samples at a time.
        dtype: ``'float16'`` or ``'float32'``.
        seed: Of the views.

    Returns:
        The folder.

    Raises:
        ValueError: If encoders are trained, ``out`` is something else, the maps of a split differ
            in size, or features are not finite in this precision.
        FileNotFoundError: If data or weights do not exist.
        TypeError: If the model is of another kind.
    """
    if views < 1 or batch_size < 1 or dtype not in ('float16', 'float32'):
        raise ValueError(
            'views and batch_size must be positive and dtype float16 or float32; got '
            f'{views}, {batch_size}, {dtype!r}.'
        )
    read = load_config(config, options=options)
    init_default_scope(read.get('default_scope', 'mmengine'))
    with quiet_hosts():
        model: Any = MODELS.build(model_config(read))
    if not hasattr(model, 'frozen_features'):
        raise TypeError(
            'features are cached of a MultimodalEncoderDecoder or a MultimodalClassifier; the '
            f'config has a {type(model).__name__}.'
        )
    with quiet_hosts():
        model.init_weights()
    if read.get('load_from'):
        load_weights(model, read.load_from)
    weights = model.frozen_weights()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = model.to(device).eval()
    splits = _splits(read, views, plain=plain)
    splits.update(_degraded(read, model, degradations))
    known: dict[str, dict[str, Any]] = {
        name: {
            'recipe': recipe_of(own), 'list': list_hash(dataset), 'samples': len(dataset),
            'views': count,
        }
        for name, (own, dataset, count) in splits.items()
    }  # fmt: skip
    recipe = json.dumps(
        {'weights': weights, 'dtype': dtype, 'seed': seed, 'splits': known}, sort_keys=True
    )
    out = Path(out)
    if is_made(out, recipe):
        return out
    with made_whole(out, recipe) as folder:
        for name, (_, dataset, count) in splits.items():
            writer = _Split(folder / name, dataset, count, dtype)
            writer.fill(model, name, batch_size, seed, training=name == 'train')
            known[name].update(writer.shapes())
        manifest = {
            'config': str(read.filename or 'a config'), 'weights': weights, 'dtype': dtype,
            'seed': seed, 'kind': writer.kind, 'splits': known,
        }  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + '\n')
    return out


def _splits(
    config: Config, views: int, *, plain: bool
) -> dict[str, tuple[dict[str, Any], Any, int]]:
    """By name: config of a data set, the data set, and its views. What is the same comes once."""
    found: dict[str, tuple[dict[str, Any], Any, int]] = {}
    seen: set[str] = set()
    for name in SPLITS:
        loader = config.get(f'{name}_dataloader')
        if loader is None:
            continue
        own = loader.to_dict()['dataset']
        drops = [t for t in own.get('pipeline', ()) if name_of(t) == 'DropModality']
        if drops and name == 'train':
            raise ValueError(
                'DropModality in the training pipeline would be decided once per cached view, and '
                'features have no DropModality of their own: leave it out, or train on images.'
            )
        if recipe_of(own) in seen:
            continue
        seen.add(recipe_of(own))
        found[name] = own, DATASETS.build(loader.dataset), views if name == 'train' else 1
    if plain:
        own = plain_training_loader(config)['dataset']
        found['train-plain'] = own, DATASETS.build(own), 1
    return found


def _degraded(
    config: Config, model: Any, degradations: Sequence[tuple[str, int]]
) -> dict[str, tuple[dict[str, Any], Any, int]]:
    """The validation split with failing sensors, as :func:`_splits` gives splits."""
    found = {}
    if degradations and (config.get('val_dataloader') is None or not hasattr(model, 'backbone')):
        raise ValueError(
            'degraded versions are made of the validation split of a segmentor; the config has '
            f'{"no val_dataloader" if hasattr(model, "backbone") else type(model).__name__}.'
        )
    for kind, severity in degradations:
        own = config.val_dataloader.to_dict()['dataset']
        modalities = model.backbone.use
        units = {m: unit_of(model.data_preprocessor, m) for m in modalities}
        step = frame_degradation(own['pipeline'], modalities, kind, severity, units=units)
        own['pipeline'] = with_degradation(own['pipeline'], step)
        found[f'val-{kind}-{severity}'] = own, DATASETS.build(own), 1
    return found


class _Split:
    """One split of a cache while it is written."""

    def __init__(self, folder: Path, dataset: Any, views: int, dtype: str) -> None:
        self.folder, self.dataset, self.views = folder, dataset, views
        self.dtype = np.dtype(dtype)
        self.arrays: dict[str, list[NDArray[Any]]] = {}
        self.targets: NDArray[Any] | None = None
        self.kind = ''
        self.metas: list[list[Any]] = [[None] * len(dataset) for _ in range(views)]
        self.folder.mkdir(exist_ok=True)

    def fill(self, model: Any, name: str, batch_size: int, seed: int, *, training: bool) -> None:
        """Compute what is not there yet."""
        total = self.views * len(self.dataset)
        done = self._resume()
        bar = tqdm(total=total, initial=done, desc=f'features of {name}', unit='view')
        while done < total:
            places = range(done, min(done + batch_size, total))
            draws = [divmod(p, len(self.dataset)) for p in places]
            samples = [self.dataset[Draw.of(i, seed, view, i)] for view, i in draws]
            with torch.no_grad():
                batch = model.data_preprocessor(pseudo_collate(samples), training)
                features = model.frozen_features(batch['inputs'], batch['data_samples'])
            for row, (view, index) in enumerate(draws):
                own = {m: [x[row] for x in stages] for m, stages in features.items()}
                self._write(view, index, own, batch['data_samples'][row])
            done = places[-1] + 1
            bar.update(len(draws))
            if done == total or (done // batch_size) % SAVE_EVERY == 0:
                self._save(done)
        bar.close()

    def _write(self, view: int, index: int, features: Mapping[str, Any], sample: Any) -> None:
        self.kind, target = target_of(sample)
        if self.targets is None:
            self.targets = self._new(TARGETS, target)
            self.arrays = {
                m: [self._new(f'{m}_{i}.npy', self._cast(x)) for i, x in enumerate(stages)]
                for m, stages in features.items()
            }
        name = sample.metainfo.get('img_path') or sample.metainfo.get('sample_id') or index
        _fits(self.targets, target, f'the labels of {name}')
        self.targets[view, index] = target
        for m, stages in features.items():
            for i, x in enumerate(stages):
                values, what = self._cast(x), f'stage {i} of {m} of {name}'
                _fits(self.arrays[m][i], values, what)
                if not np.isfinite(values).all():
                    raise ValueError(f'{what} is not finite in {self.dtype}; try --dtype float32.')
                self.arrays[m][i][view, index] = values
        self.metas[view][index] = meta_of(sample)

    def _cast(self, x: torch.Tensor) -> NDArray[Any]:
        values: NDArray[Any] = x.detach().cpu().numpy()
        return values.astype(self.dtype) if values.dtype.kind == 'f' else values

    def _new(self, name: str, like: NDArray[Any]) -> NDArray[Any]:
        shape = (self.views, len(self.dataset), *like.shape)
        made: NDArray[Any] = np.lib.format.open_memmap(
            self.folder / name, mode='w+', dtype=like.dtype, shape=shape
        )
        return made

    def _save(self, done: int) -> None:
        for array in self._all():
            array.flush()  # type: ignore[attr-defined]  # a memmap
        write_whole(self.folder / METAS, json.dumps(self.metas).encode())
        counts = {m: len(stages) for m, stages in self.arrays.items()}
        said = {'done': done, 'kind': self.kind, 'stages': counts}
        write_whole(self.folder / PROGRESS, json.dumps(said).encode())

    def _resume(self) -> int:
        """How many views an interrupted run has left."""
        path = self.folder / PROGRESS
        if not path.is_file():
            return 0
        said = json.loads(path.read_text())
        self.kind = said['kind']
        self.metas = json.loads((self.folder / METAS).read_text())
        self.targets = np.load(self.folder / TARGETS, mmap_mode='r+')
        self.arrays = {
            m: [np.load(self.folder / f'{m}_{i}.npy', mmap_mode='r+') for i in range(count)]
            for m, count in said['stages'].items()
        }
        return int(said['done'])

    def _all(self) -> Iterator[NDArray[Any]]:
        yield from (a for stages in self.arrays.values() for a in stages)
        if self.targets is not None:
            yield self.targets

    def shapes(self) -> dict[str, Any]:
        """Of all arrays, for the manifest."""
        if self.targets is None:
            raise ValueError(f'the data set of {self.folder.name!r} lists no sample.')
        arrays = {m: [list(a.shape) for a in stages] for m, stages in self.arrays.items()}
        return {'arrays': arrays, 'targets': list(self.targets.shape)}


def _fits(array: NDArray[Any], values: NDArray[Any], what: str) -> None:
    if array.shape[2:] != values.shape:
        raise ValueError(
            f'{what} have the shape {values.shape}, those before them {array.shape[2:]}: the '
            'samples of a cached split must have one size. Resize or crop in the pipeline; '
            "average the tokens of texts (FrozenEncoder's pool)."
        )
