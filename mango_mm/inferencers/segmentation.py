"""Inference of segmentors: images of several modalities in, label maps and panels out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from numpy.typing import NDArray

from mango_mm.datasets.multimodal_segmentation import PATH_KEYS
from mango_mm.datasets.palette import distinct_colours
from mango_mm.datasets.transforms.missing import hand_on
from mango_mm.inferencers.base import Inferencer, Result, Sample, trust_of
from mango_mm.registry import DATASETS
from mango_mm.visualization.domains import modality_images
from mango_mm.visualization.panels import colour_labels, draw_panel, legend_of
from mango_mm.visualization.trust import draw_trust_bars, overlay_trust

__all__ = ['SegmentationInferencer']


class SegmentationInferencer(Inferencer):
    """Segments samples of several modalities with a trained model.

    A sample's value is a path or an array: RGB (H, W, 3) uint8; depth (H, W), floating point in
    metres or integers in the encoding of the config. None: the sample lacks that modality. A
    result is a dict with ``label``, ``panel``, its ``pictures`` by title, ``classes``,
    ``nll_per_dim``, and of a model that knows whom to trust ``trust`` and ``trust_map`` (h, w) by
    modality, and ``alarm``.

    Args:
        config: Its test pipeline is used, without labels.
        model: A segmentor with ``MultimodalSegDataPreProcessor``.

    Raises:
        TypeError: If the model's data preprocessor is another.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'rgb': 'rgb/1.jpg', 'depth': 'depth/1.png'}, show_dir='panels')
        result['label']          # (H, W) uint8, indices into result['classes']
        result['panel']          # (H', W', 3) uint8
        result['nll_per_dim']    # float, nats; None without a flow
        result['trust']          # {'rgb': .98, 'depth': .03}; None without combine='trust'
    """

    def __init__(self, config: Config, model: Any) -> None:
        super().__init__(config, model)
        dataset = config.test_dataloader.dataset
        self.meta = _metainfo(dataset)
        steps = [t for t in dataset.pipeline if not t['type'].endswith('LoadSegmentation')]
        self.pipeline = Compose(steps)
        channels = getattr(model.data_preprocessor, 'channels', None)
        if channels is None:
            raise TypeError(
                'SegmentationInferencer needs a model with MultimodalSegDataPreProcessor; got '
                f'{type(model.data_preprocessor).__name__}.'
            )
        self.channels: dict[str, int] = dict(channels)
        self.modalities = tuple(self.channels)
        model.data_preprocessor.check_order(self.pipeline.transforms)
        hand_on(self.pipeline.transforms)

    def prepare(self, sample: Sample) -> dict[str, Any]:
        results: dict[str, Any] = {'seg_fields': [], 'reduce_zero_label': False}
        present = {name: sample[name] is not None for name in self.modalities}
        if not any(present.values()):
            raise ValueError(f'a sample must have one of {list(self.modalities)}; it has none.')
        if not all(present.values()):
            results['present'] = present
        for name in self.modalities:
            value = sample[name]
            results[PATH_KEYS.get(name, f'{name}_path')] = (
                value
                if value is None or isinstance(value, np.ndarray)
                else [str(v) for v in value]
                if isinstance(value, (list, tuple))
                else str(value)
            )
        packed: dict[str, Any] = self.pipeline(results)
        return packed

    def result(
        self, sample: Sample, item: dict[str, Any], output: Any, path: Path | None
    ) -> Result:
        label: NDArray[np.uint8] = output.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        images = modality_images(
            item['inputs'].numpy(), self.channels, self.model.data_preprocessor.display
        )
        images['prediction'] = colour_labels(label, self.meta['palette'])
        trust = trust_of(output)
        if trust['trust'] is not None:
            images |= _trust_pictures(images, trust)
        return {
            'label': label,
            'panel': draw_panel(
                images, path, legend_of([label], self.meta['classes'], self.meta['palette'])
            ),
            'pictures': images,
            'classes': self.meta['classes'],
            'nll_per_dim': float(output.nll_per_dim) if 'nll_per_dim' in output else None,
            **trust,
        }


def _trust_pictures(images: dict[str, Any], trust: dict[str, Any]) -> dict[str, Any]:
    """Every modality under its trust map, if there is one, and the bars."""
    found = {}
    for m, place in (trust['trust_map'] or {}).items():
        if m in images:
            found[f'trust in {m}'] = overlay_trust(images[m], place)
    size = images['prediction'].shape[:2]
    said = ', '.join(f'{m} {v:.2f}' for m, v in trust['trust'].items())
    title = f'ALARM: {said}' if trust['alarm'] else said
    return {**found, title: draw_trust_bars(trust['trust'], size, alarm=trust['alarm'])}


def _metainfo(dataset: Config) -> dict[str, Any]:
    """Classes and palette, without reading any data."""
    cls = DATASETS.get(dataset.type)
    if cls is None:
        raise KeyError(f'dataset type {dataset.type!r} is not registered.')
    meta = {**cls.METAINFO, **dataset.get('metainfo', {})}
    meta.setdefault('palette', distinct_colours(len(meta.get('classes', ()))))
    return meta
