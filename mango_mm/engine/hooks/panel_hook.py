"""Panel hook: saves what the model saw, should have said and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mango_mm.registry import HOOKS
from mango_mm.visualization.domains import modality_images
from mango_mm.visualization.panels import colour_labels, draw_panel

__all__ = ['PanelHook']


@HOOKS.register_module()
class PanelHook(Hook):
    """Saves panels of modalities, ground truth and prediction during validation and test.

    The modalities and their order are those of the model's data preprocessor.

    Args:
        val_samples: How many of each validation, from the first; 0: none.
        test_dir: Where panels of a test go; None: none are drawn. ``tools/test.py
            --show-dir`` sets it.
    """

    def __init__(self, val_samples: int = 4, test_dir: str | None = None) -> None:
        self.val_samples, self.test_dir = val_samples, test_dir

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        seen = batch_idx * len(outputs or ())
        folder = Path(runner.log_dir) / 'panels' / f'step_{runner.iter:06d}'
        for i, output in enumerate(outputs or ()):
            if seen + i < self.val_samples and is_main_process():
                self._save(runner, runner.val_loop, folder, data_batch['inputs'][i], output)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        if self.test_dir is None:
            return
        inputs = data_batch['inputs']
        for i, output in enumerate(outputs or ()):
            # Under test-time augmentation there is a list of views; the first is plain.
            image = inputs[0][i] if isinstance(inputs[0], (list, tuple)) else inputs[i]
            self._save(runner, runner.test_loop, Path(self.test_dir), image, output)

    def _save(self, runner: Runner, loop: Any, folder: Path, image: Any, output: Any) -> None:
        palette = loop.dataloader.dataset.metainfo['palette']
        prediction = output.pred_sem_seg.data[0].cpu().numpy()
        images = modality_images(image.cpu().numpy(), _channels(runner.model))
        if 'gt_sem_seg' in output:
            images['ground truth'] = colour_labels(output.gt_sem_seg.data[0].cpu().numpy(), palette)
        images['prediction'] = colour_labels(prediction, palette)
        # A sample without an image file is known by its labels.
        meta = output.metainfo
        path = meta.get('img_path') or meta.get('seg_map_path') or 'sample'
        draw_panel(images, folder / f'{Path(path).stem}.png')


def _channels(model: Any) -> Mapping[str, int]:
    """Channels of each modality, off the data preprocessor of a model however wrapped."""
    while not hasattr(model, 'backbone') and hasattr(model, 'module'):
        model = model.module
    names = getattr(model.data_preprocessor, 'channels', None)
    if names is None:
        raise TypeError(
            'PanelHook reads the modalities off MultimodalSegDataPreProcessor; '
            f'got {type(model.data_preprocessor).__name__}.'
        )
    channels: Mapping[str, int] = names
    return channels
