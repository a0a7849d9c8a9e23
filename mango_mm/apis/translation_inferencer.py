"""Inference of translators: source images in, the image of another domain out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from tqdm import tqdm

from mango_mm.apis.domain_pictures import show_domain
from mango_mm.apis.inferencer import MangoInferencer, Sample, as_samples
from mango_mm.datasets.domains import get_domain
from mango_mm.hosts import require_host
from mango_mm.visualization.panels import draw_panel

__all__ = ['TranslationInferencer']


class TranslationInferencer(MangoInferencer):
    """Translates images of several domains with a trained ``MultimodalTranslator``.

    Args:
        config: File or config the model was trained with. Its test pipeline is used.
        checkpoint: File, or a work dir (its newest checkpoint); None: weights as initialised.
        device: Where it runs; None: a GPU if there is one.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ImportError: If mmagic is missing.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'rgb': 'rgb/1.png', 'edge_occlusion': 'edges/1.png'}, show_dir='pictures')
        result['image']          # (H, W, C) float32 in [-1, 1]
        result['metres']         # (H, W) float32, if the target is a depth; else None
        result['panel']          # (H', W', 3) uint8
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        require_host('mmagic', 'MangoInferencer')
        super().__init__(config, checkpoint, device)
        dataset = self.config.test_dataloader.dataset
        self.modalities, self.target = list(dataset.sources), dataset.target
        self.pipeline = Compose(dataset.pipeline)

    def __call__(
        self,
        inputs: Sample | Iterable[Sample],
        *,
        batch_size: int = 1,
        show_dir: str | Path | None = None,
        progress: bool = True,
        **_: Any,
    ) -> Any:
        """Translate one sample or several.

        Args:
            inputs: A dict by source domain, or several of them. A value is a path or an array in
                the domain's encoding (uint8, or uint16 of depths); or every value is a folder,
                and files of one name belong together.
            batch_size: Samples translated together; they must then be of one size.
            show_dir: Save each panel of sources and output there.
            progress: Show a progress bar for several samples.

        Returns:
            A dict with ``image``, ``metres``, ``panel``, its ``pictures`` by title and
            ``nll_per_dim`` (None without a flow), or a list of them.

        Raises:
            KeyError: If a source that the model needs is missing.
            FileNotFoundError, ValueError: If a file is missing or not of its domain; named.
        """
        samples, single = as_samples(inputs, self.modalities)
        results: list[dict[str, Any]] = []
        bar = tqdm(total=len(samples), desc='inference', disable=single or not progress)
        for start in range(0, len(samples), batch_size):
            batch = samples[start : start + batch_size]
            packed = [self.pipeline(self._to_results(sample)) for sample in batch]
            with torch.no_grad():
                outputs = self.model.test_step(pseudo_collate(packed))
            for i, (sample, item, output) in enumerate(zip(batch, packed, outputs)):
                results.append(self._result(sample, item, output, start + i, show_dir))
            bar.update(len(batch))
        bar.close()
        return results[0] if single else results

    def _to_results(self, sample: Sample) -> dict[str, Any]:
        paths = {
            f'{m}_path': sample[m] if isinstance(sample[m], np.ndarray) else str(sample[m])
            for m in self.modalities
        }
        return {'sources': tuple(self.modalities), 'target': None, **paths}

    def _result(
        self,
        sample: Mapping[str, Any],
        item: Mapping[str, Any],
        output: Any,
        number: int,
        show_dir: str | Path | None,
    ) -> dict[str, Any]:
        made = output.output.pred_img.detach().cpu()
        pictures = {m: show_domain(x, m) for m, x in item['inputs'].items()}
        pictures[f'{self.target} (made)'] = show_domain(made, self.target)
        first = sample[self.modalities[0]]
        stem = Path(first).stem if isinstance(first, (str, Path)) else f'{number:06d}'
        path = Path(show_dir) / f'{stem}.png' if show_dir is not None else None
        image = made.numpy().transpose(1, 2, 0)
        domain = get_domain(self.target)
        return {
            'image': image,
            'metres': domain.to_metres(image)[..., 0] if domain.logarithmic else None,
            'panel': draw_panel(pictures, path),
            'pictures': pictures,
            'nll_per_dim': float(output.nll_per_dim) if 'nll_per_dim' in output else None,
        }
