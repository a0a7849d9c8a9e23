"""A segmentor's training step and prediction on random images of its config's size."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from mango_mm.apis import load_config
from mango_mm.registry import MODELS

__all__ = ['PRECISIONS', 'SegmentorSteps', 'prepare_segmentor']

PRECISIONS = ('fp32', 'amp')  # amp: torch.autocast in bfloat16


@dataclasses.dataclass(frozen=True)
class SegmentorSteps:
    """What :func:`prepare_segmentor` made.

    Attributes:
        model: With weights as initialised.
        train: One step of the optimiser on a batch.
        predict: Logits of one image.
        predict_batch: Of a batch.
        batch: Images of it.
        size: Height and width.
    """

    model: Any
    train: Callable[[], None]
    predict: Callable[[], None]
    predict_batch: Callable[[], None]
    batch: int
    size: tuple[int, int]


def prepare_segmentor(
    path: str | Path, device: str = 'cpu', batch: int | None = None, precision: str = 'fp32'
) -> SegmentorSteps:
    """Build a config's model, and what it is timed by.

    Args:
        path: Config of a segmentor.
        device: Where it runs.
        batch: Images; None: the config's.
        precision: One of ``PRECISIONS``.

    Raises:
        TypeError: If the config is of another task.
    """
    from mmseg.structures import SegDataSample

    config = load_config(path)
    init_default_scope(config.default_scope)
    model: Any = MODELS.build(config.model).to(device)
    preprocessor = model.data_preprocessor
    if not hasattr(preprocessor, 'channels') or 'crop_size' not in config:
        raise TypeError(f'{path} is not of a segmentor of images; it has a {type(model).__name__}.')
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    for m in getattr(preprocessor, 'estimated', ()):  # numbers of any kind do
        count = preprocessor.channels[m]
        preprocessor.set_statistics(m, [0.0] * count, [1.0] * count)
    size = (int(config.crop_size[0]), int(config.crop_size[1]))
    count = batch or config.train_dataloader.batch_size
    images = [torch.rand(sum(preprocessor.channels.values()), *size) * 255 for _ in range(count)]
    samples = []
    for _ in images:
        sample = SegDataSample(metainfo={'img_shape': size, 'ori_shape': size})
        sample.gt_sem_seg = PixelData(data=torch.randint(0, config.num_classes, (1, *size)))
        samples.append(sample)

    def cast() -> contextlib.AbstractContextManager[Any]:
        if precision == 'fp32':
            return contextlib.nullcontext()
        return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)

    def train() -> None:
        model.train()
        with cast():
            model.train_step({'inputs': images, 'data_samples': samples}, wrapper)

    @torch.no_grad()
    def run(rows: int) -> None:
        model.eval()
        data = {'inputs': images[:rows], 'data_samples': samples[:rows]}
        with cast():
            model(**preprocessor(data, False), mode='tensor')

    return SegmentorSteps(model, train, lambda: run(1), lambda: run(count), count, size)
