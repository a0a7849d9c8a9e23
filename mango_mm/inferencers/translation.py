"""Inference of translators: source images in, the image of another domain out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from mango_mm.domains import get_domain
from mango_mm.inferencers.base import Inferencer, Result, Sample, trust_of
from mango_mm.visualization.domains import show_domain
from mango_mm.visualization.panels import draw_panel

__all__ = ['TranslationInferencer']


class TranslationInferencer(Inferencer):
    """Translates images of several domains with a trained ``MultimodalTranslator``.

    A sample's value is a path or an array in the domain's encoding (uint8, or uint16 of depths).
    A result is a dict with ``image``, ``metres``, ``panel``, its ``pictures`` by title,
    ``nll_per_dim`` (None without a flow), and, with ``combine='trust'``, ``trust``, ``trust_map``
    and ``alarm`` (else None).

    Args:
        config: Its test pipeline is used.
        model: A ``MultimodalTranslator``.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'rgb': 'rgb/1.png', 'edge_occlusion': 'edges/1.png'}, show_dir='pictures')
        result['image']          # (H, W, C) float32 in [-1, 1]
        result['metres']         # (H, W) float32, if the target is a depth; else None
        result['panel']          # (H', W', 3) uint8
    """

    def __init__(self, config: Config, model: Any) -> None:
        super().__init__(config, model)
        dataset = config.test_dataloader.dataset
        self.modalities, self.target = tuple(dataset.sources), dataset.target
        self.pipeline = Compose(dataset.pipeline)

    def prepare(self, sample: Sample) -> dict[str, Any]:
        paths = {
            f'{m}_path': sample[m] if isinstance(sample[m], np.ndarray) else str(sample[m])
            for m in self.modalities
        }
        packed: dict[str, Any] = self.pipeline(
            {'sources': tuple(self.modalities), 'target': None, **paths}
        )
        return packed

    def result(
        self, sample: Sample, item: dict[str, Any], output: Any, path: Path | None
    ) -> Result:
        made = output.output.pred_img.detach().cpu()
        pictures = {m: show_domain(x, m) for m, x in item['inputs'].items()}
        pictures[f'{self.target} (made)'] = show_domain(made, self.target)
        image = made.numpy().transpose(1, 2, 0)
        domain = get_domain(self.target)
        return {
            'image': image,
            'metres': domain.to_metres(image)[..., 0] if domain.logarithmic else None,
            'panel': draw_panel(pictures, path),
            'pictures': pictures,
            'nll_per_dim': float(output.nll_per_dim) if 'nll_per_dim' in output else None,
            **trust_of(output),
        }
