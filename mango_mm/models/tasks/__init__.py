"""One adapter per task: what algorithms, analyses and inferencers ask of a model."""

from __future__ import annotations

from typing import Any

from mango_mm.models.classifiers import MultimodalClassifier
from mango_mm.models.tasks.classification import ClassificationTask
from mango_mm.models.tasks.segmentation import SegmentationTask
from mango_mm.models.tasks.task import Losses, RecognitionTask, Task
from mango_mm.models.tasks.translation import TranslationTask

__all__ = [
    'ClassificationTask',
    'Losses',
    'RecognitionTask',
    'SegmentationTask',
    'Task',
    'TranslationTask',
    'recognition_task_of',
    'task_of',
]


def task_of(model: Any) -> Task:
    """The task of a model.

    Raises:
        TypeError: If it is none of a multimodal segmentor, classifier and translator.
    """
    if isinstance(model, MultimodalClassifier):
        return ClassificationTask(model)
    # By what they have: their classes need hosts that may be missing.
    if hasattr(model, 'decode_head'):
        return SegmentationTask(model)
    if hasattr(model, 'generator') and hasattr(model, 'sources'):
        return TranslationTask(model)
    raise TypeError(
        'the model must be a MultimodalEncoderDecoder, a MultimodalClassifier or a '
        f'MultimodalTranslator; got a {type(model).__name__}.'
    )


def recognition_task_of(model: Any, purpose: str) -> RecognitionTask:
    """The task of a model that has classes.

    Args:
        model: A ``MultimodalEncoderDecoder`` or a ``MultimodalClassifier``.
        purpose: Who asks, in the error.

    Raises:
        TypeError: If it is neither.
    """
    if hasattr(model, 'merge') or isinstance(model, MultimodalClassifier):
        task = task_of(model)
        if isinstance(task, RecognitionTask):
            return task
    raise TypeError(
        f'{purpose} needs a MultimodalEncoderDecoder or a MultimodalClassifier; got a '
        f'{type(model).__name__}.'
    )
