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
from mango_mm.visualization.panels import colour_labels, draw_panel, legend_of

__all__ = ['PanelHook']


@HOOKS.register_module()
class PanelHook(Hook):
    """Saves panels of modalities, ground truth and prediction during validation and test.

    The modalities and their order are those of the model's data preprocessor.

    It stands in ``default_hooks.visualization``, where mmseg's tools look for what draws.

    Args:
        val_samples: How many of each validation, from the first; 0: none.
        test_dir: Where panels of a test go; None: none are drawn. Our ``tools/test.py
            --show-dir`` sets it.
        draw: Hand the panels of a test to the visualizer. mmseg's ``tools/test.py --show-dir``
            and ``--show`` set it.
        show: Show them in a window, likewise.
        wait_time: For so many seconds each.
        interval: Every so manieth batch of a test is drawn.
    """

    def __init__(
        self,
        val_samples: int = 4,
        test_dir: str | None = None,
        *,
        draw: bool = False,
        show: bool = False,
        wait_time: float = 0.0,
        interval: int = 1,
    ) -> None:
        self.val_samples, self.test_dir = val_samples, test_dir
        self.draw, self.show, self.wait_time = draw, show, wait_time
        self.interval = interval

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
                image = _image(data_batch['inputs'], i)
                self._save(runner, runner.val_loop, folder, image, output)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        drawn = self.test_dir is not None or self.draw
        if not drawn or not self.every_n_inner_iters(batch_idx, self.interval):
            return
        inputs = data_batch['inputs']
        folder = None if self.test_dir is None else Path(self.test_dir)
        for i, output in enumerate(outputs or ()):
            self._save(runner, runner.test_loop, folder, _image(inputs, i), output)

    def _save(
        self, runner: Runner, loop: Any, folder: Path | None, image: Any, output: Any
    ) -> None:
        known = loop.dataloader.dataset.metainfo
        palette = known['palette']
        prediction = output.pred_sem_seg.data[0].cpu().numpy()
        labels = [prediction]
        images = {}
        if image is not None:
            known_as = _preprocessor(runner.model)
            images = modality_images(image.cpu().numpy(), known_as.channels, known_as.display)
        if 'gt_sem_seg' in output:
            truth = output.gt_sem_seg.data[0].cpu().numpy()
            images['ground truth'] = colour_labels(truth, palette)
            labels.append(truth)
        images['prediction'] = colour_labels(prediction, palette)
        # A sample without an image file is known by its labels.
        meta = output.metainfo
        path = meta.get('img_path') or meta.get('seg_map_path') or 'sample'
        name = Path(str(meta.get('sample_id') or Path(path).stem).replace('/', '_')).name
        target = None if folder is None else folder / f'{name}.png'
        panel = draw_panel(images, target, legend_of(labels, known['classes'], palette))
        if self.draw:
            runner.visualizer.add_image(name, panel, step=runner.iter)
        if self.show:
            runner.visualizer.show(panel, name, self.wait_time)


def _image(inputs: Any, index: int) -> Any:
    """One image of a batch; None where the batch is features of a cache."""
    if isinstance(inputs, Mapping):
        return None
    # Under test-time augmentation there is a list of views; the first is plain.
    return inputs[0][index] if isinstance(inputs[0], (list, tuple)) else inputs[index]


def _preprocessor(model: Any) -> Any:
    """The data preprocessor of a model however wrapped, which knows the modalities."""
    while not hasattr(model, 'backbone') and hasattr(model, 'module'):
        model = model.module
    if not hasattr(model.data_preprocessor, 'channels'):
        raise TypeError(
            'PanelHook reads the modalities off MultimodalSegDataPreProcessor; '
            f'got {type(model.data_preprocessor).__name__}.'
        )
    return model.data_preprocessor
