"""Inference on several modalities at once: paths, arrays and texts in, answers and pictures out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from numpy.typing import NDArray
from tqdm import tqdm

from mango_mm.apis.run import load_config, load_weights
from mango_mm.datasets.multimodal_segmentation import PATH_KEYS
from mango_mm.engine.hooks.panel_hook import modality_images
from mango_mm.hosts import require_host
from mango_mm.registry import MODELS
from mango_mm.visualization.panels import colour_labels, draw_panel

__all__ = ['MangoInferencer', 'SegmentationInferencer']

Sample = Mapping[str, Any]


class MangoInferencer:
    """Runs a trained model on samples: what it does depends on the config's model.

    ``MangoInferencer(config, checkpoint)`` is a :class:`SegmentationInferencer`, for a
    ``MultimodalTranslator`` a ``TranslationInferencer``, and for a ``MultimodalClassifier`` a
    ``FilmInferencer``, which see.

    Args:
        config: File or config the model was trained with.
        checkpoint: File, or a work dir (its newest checkpoint); None: weights as initialised.
        device: Where it runs; None: a GPU if there is one.
    """

    def __new__(cls, config: str | Path | Config, *args: Any, **options: Any) -> MangoInferencer:
        if cls is not MangoInferencer:
            return super().__new__(cls)
        model = load_config(config).model
        kind = str(model.get('student', model).type).rsplit('.', maxsplit=1)[-1]
        chosen: type[MangoInferencer] = SegmentationInferencer
        if kind == 'MultimodalClassifier':
            from mango_mm.apis.film_inferencer import FilmInferencer as chosen  # noqa: N813
        elif kind == 'MultimodalTranslator':
            from mango_mm.apis.translation_inferencer import (
                TranslationInferencer as chosen,  # noqa: N813
            )
        return super().__new__(chosen)

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        self.config = load_config(config)
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        init_default_scope(self.config.get('default_scope', 'mmseg'))
        _drop_pretrained(self.config.model)
        self.model = MODELS.build(self.config.model)
        if checkpoint is None:
            self.model.init_weights()
        else:
            load_weights(self.model, checkpoint)
        if 'student' in self.config.model:  # a strategy: it is the student that answers
            self.model = self.model.student
        self.model.to(self.device).eval()

    def __call__(
        self, inputs: Sample | Iterable[Sample], *, show_dir: str | Path | None = None, **_: Any
    ) -> Any:
        """Predict one sample or several; see the classes that are returned."""
        raise NotImplementedError


class SegmentationInferencer(MangoInferencer):
    """Segments samples of several modalities with a trained model.

    Args:
        config: File or config the model was trained with. Its test pipeline is used,
            without labels.
        checkpoint: File, or a work dir (its newest checkpoint); None: weights as
            initialised, for trying things out.
        device: Where it runs; None: a GPU if there is one.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ImportError: If mmsegmentation is missing.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'rgb': 'rgb/1.jpg', 'depth': 'depth/1.png'}, show_dir='panels')
        result['label']          # (H, W) uint8, indices into result['classes']
        result['panel']          # (H', W', 3) uint8
        result['nll_per_dim']    # float, nats; None without a flow
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        require_host('mmseg', 'MangoInferencer')
        super().__init__(config, checkpoint, device)
        dataset = self.config.test_dataloader.dataset
        self.meta = _metainfo(dataset)
        steps = [t for t in dataset.pipeline if not t['type'].endswith('LoadSegmentation')]
        self.pipeline = Compose(steps)
        self.modalities = list(self.model.data_preprocessor.names)

    def __call__(
        self,
        inputs: Sample | Iterable[Sample],
        *,
        batch_size: int = 1,
        show_dir: str | Path | None = None,
        progress: bool = True,
        **_: Any,
    ) -> Any:
        """Predict one sample or several.

        Args:
            inputs: A dict by modality, or several of them. A value is a path or an array:
                RGB (H, W, 3) uint8; depth (H, W), floating point in metres or integers in
                the encoding of the config. It is not changed. Or every value is a folder, and
                files of one name, whatever their endings, belong together.
            batch_size: Samples predicted together; they must then be of one size.
            show_dir: Save each panel there.
            progress: Show a progress bar for several samples.

        Returns:
            A dict with ``label``, ``panel``, its ``pictures`` by title, ``classes`` and
            ``nll_per_dim``, or a list of them.

        Raises:
            KeyError: If a modality that the model needs is missing.
        """
        samples, single = as_samples(inputs, self.modalities)
        results: list[dict[str, Any]] = []
        bar = tqdm(total=len(samples), desc='inference', disable=single or not progress)
        for start in range(0, len(samples), batch_size):
            batch = samples[start : start + batch_size]
            packed = [self.pipeline(self._to_results(sample)) for sample in batch]
            with torch.no_grad():
                outputs = self.model.test_step(pseudo_collate(packed))
            for i, (item, output) in enumerate(zip(packed, outputs)):
                results.append(self._result(item, output, start + i, show_dir))
            bar.update(len(batch))
        bar.close()
        return results[0] if single else results

    def _to_results(self, sample: Sample) -> dict[str, Any]:
        results: dict[str, Any] = {'seg_fields': [], 'reduce_zero_label': False}
        for name in self.modalities:
            value = sample[name]
            results[PATH_KEYS.get(name, f'{name}_path')] = (
                value if isinstance(value, np.ndarray) else str(value)
            )
        return results

    def _result(
        self, item: dict[str, Any], output: Any, number: int, show_dir: str | Path | None
    ) -> dict[str, Any]:
        label: NDArray[np.uint8] = output.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        images = modality_images(item['inputs'].numpy(), self.model.data_preprocessor.names)
        images['prediction'] = colour_labels(label, self.meta['palette'])
        source = item['data_samples'].metainfo.get('img_path')
        stem = Path(source).stem if isinstance(source, str) else f'{number:06d}'
        path = Path(show_dir) / f'{stem}.png' if show_dir is not None else None
        return {
            'label': label,
            'panel': draw_panel(images, path),
            'pictures': images,
            'classes': self.meta['classes'],
            'nll_per_dim': float(output.nll_per_dim) if 'nll_per_dim' in output else None,
        }


def as_samples(
    inputs: Sample | Iterable[Sample], modalities: Sequence[str]
) -> tuple[list[Sample], bool]:
    """What a call was given as a list of samples, and whether it was a single one.

    Raises:
        KeyError: If a modality that the model needs is missing.
        FileNotFoundError: If a folder holds no file.
        ValueError: If folders do not hold files of the same names; names the first that lack.
    """
    single = isinstance(inputs, Mapping)
    samples: list[Sample] = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    for sample in samples:
        missing = [m for m in modalities if m not in sample]
        if missing:
            raise KeyError(
                f'this model needs {list(modalities)}; the input lacks {missing} '
                f'(it has {list(sample)}).'
            )
    if single and all(_is_folder(samples[0][m]) for m in modalities):
        return _paired({m: Path(samples[0][m]) for m in modalities}), False
    return samples, single


def _is_folder(value: Any) -> bool:
    return isinstance(value, (str, Path)) and Path(value).is_dir()


def _paired(folders: Mapping[str, Path]) -> list[Sample]:
    files = {
        m: {p.stem: p for p in sorted(folder.iterdir()) if p.is_file() and p.name[0] != '.'}
        for m, folder in folders.items()
    }
    stems = sorted(set().union(*files.values()))
    if not stems:
        raise FileNotFoundError(f'there is no file in {[str(f) for f in folders.values()]}.')
    for m, found in files.items():
        lacking = [stem for stem in stems if stem not in found]
        if lacking:
            raise ValueError(
                f'folders must hold files of the same names; {folders[m]} lacks {lacking[:5]}, '
                f'{len(lacking)} of {len(stems)}.'
            )
    return [{m: found[stem] for m, found in files.items()} for stem in stems]


def _metainfo(dataset: Config) -> dict[str, Any]:
    """Classes and palette, without reading any data."""
    from mango_mm.registry import DATASETS

    cls = DATASETS.get(dataset.type)
    if cls is None:
        raise KeyError(f'dataset type {dataset.type!r} is not registered.')
    return {**cls.METAINFO, **dataset.get('metainfo', {})}


def _drop_pretrained(model: Any) -> None:
    """The checkpoint holds every weight; do not look for pretrained files."""
    if isinstance(model, dict):
        model.pop('pretrained', None)
        init = model.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            model.pop('init_cfg')
        for value in list(model.values()):
            _drop_pretrained(value)
