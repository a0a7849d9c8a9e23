"""Inference of trained models: paths, arrays and texts in, results and pictures out."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mango_mm.apis.open_model import open_model
from mango_mm.inferencers.base import Inferencer, default_device
from mango_mm.inferencers.classification import MovieInferencer
from mango_mm.inferencers.segmentation import SegmentationInferencer
from mango_mm.inferencers.sequences import SequenceInferencer
from mango_mm.inferencers.translation import TranslationInferencer
from mango_mm.models.classifiers import SequenceDataPreprocessor
from mango_mm.models.tasks import ClassificationTask, SegmentationTask, TranslationTask, task_of

__all__ = [
    'Inferencer',
    'MangoInferencer',
    'MovieInferencer',
    'SegmentationInferencer',
    'SequenceInferencer',
    'TranslationInferencer',
]

BY_TASK: dict[type, type[Inferencer]] = {
    SegmentationTask: SegmentationInferencer,
    ClassificationTask: MovieInferencer,
    TranslationTask: TranslationInferencer,
}


def MangoInferencer(  # noqa: N802  # what the toolboxes call theirs; it chooses a class
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
) -> Inferencer:
    """The inferencer for the task of a config's model.

    Args:
        config: File or config the model was trained with, whose test pipeline is used; or a name
            of :func:`mango_mm.list_models`.
        checkpoint: File, or a work dir (its newest checkpoint); None: what the zoo has under that
            name, else weights as initialised, for trying things out.
        device: Where it runs; None: a GPU if there is one.

    Returns:
        A :class:`SegmentationInferencer`, a :class:`MovieInferencer`, a
        :class:`SequenceInferencer` or a :class:`TranslationInferencer`.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        KeyError: If a name is not in the zoo.
        TypeError: If the model is of no task that is known.
        ImportError: If the toolbox of the task is missing.

    Example::

        infer = MangoInferencer('mango-trust-rooms')
        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'rgb': 'rgb/1.jpg', 'depth': 'depth/1.png'}, show_dir='panels')
    """
    read, model = open_model(config, checkpoint, device=device or default_device())
    if isinstance(model.data_preprocessor, SequenceDataPreprocessor):
        return SequenceInferencer(read, model)
    return BY_TASK[type(task_of(model))](read, model)
