"""The base of every training algorithm: a student, and teachers that do not learn."""

from __future__ import annotations

import abc
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mango_mm.checkpoints import load_weights
from mango_mm.models.tasks import RecognitionTask, recognition_task_of
from mango_mm.registry import MODELS, build_ours
from mango_mm.shipped import shipped

__all__ = ['Algorithm', 'Teacher', 'check_names']


class Algorithm(BaseModel):
    """Trains a student in a way of its own; predicts as the student does.

    The checkpoint holds the student under ``student.``: a config of the plain model starts
    from it by ``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='student.')``.

    Args:
        student: Config of a ``MultimodalEncoderDecoder`` or a ``MultimodalClassifier``.
        data_preprocessor: The same as in mmengine; None: the student's.
        init_cfg: The same as in mmengine.

    Raises:
        TypeError: If the student is of neither kind.
    """

    def __init__(
        self,
        student: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        student = copy.deepcopy(dict(student))
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.student = build_ours(MODELS, student)
        self.task  # noqa: B018  # says at once if the student is no such model
        if data_preprocessor is None:  # one, so that what is estimated is known to both
            self.data_preprocessor = self.student.data_preprocessor
        if hasattr(self.data_preprocessor, 'honours_present'):
            self.data_preprocessor.honours_present = True  # the student does

    @property
    def task(self) -> RecognitionTask:
        """Access to the parts of the student."""
        return recognition_task_of(self.student, 'a training algorithm')

    @property
    def head(self) -> Any:
        """The student's head that holds thresholds."""
        return self.student.head

    def fit_vocabulary(self, texts: Sequence[str]) -> None:
        """Show the student the training texts."""
        self.student.fit_vocabulary(texts)

    def init_weights(self) -> None:
        """Initialise the student, then load the teachers.

        Raises:
            FileNotFoundError: If a teacher's checkpoint does not exist.
            ValueError: If it is of another model.
        """
        super().init_weights()
        for module in self.modules():
            if isinstance(module, Teacher):
                module.load()

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """The algorithm's losses; in every other mode the student's answer."""
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.student(inputs, data_samples, mode=mode)

    def frozen_weights(self) -> dict[str, str]:
        """The student's, of a feature cache that its teachers read, too.

        Raises:
            ValueError: If an encoder is trained, or a teacher's differs from the student's.
        """
        known: dict[str, str] = self.student.frozen_weights()
        for module in self.modules():
            if not isinstance(module, Teacher):
                continue
            own: dict[str, str] = module.model.frozen_weights()
            other = [m for m, found in own.items() if known.get(m) != found]
            if other:
                raise ValueError(
                    f'student and teachers read one feature cache, and the encoder of {other} in '
                    f"the teacher {module.checkpoint} is not the student's: give them the same "
                    "weights and data preprocessor, or set feature_cache=''."
                )
        return known

    @abc.abstractmethod
    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Any]:
        """Losses by name."""


class Teacher(nn.Module):
    """A trained model that only answers: no gradient, always in evaluation mode.

    Args:
        config: Config file of its training, relative to the working directory or to the
            project; or the config of the model.
        checkpoint: What that training saved; ``WORK_DIR/latest`` is its newest checkpoint.
            Read when the algorithm's training starts; a test needs it no more.

    Raises:
        FileNotFoundError: If the config file does not exist.
    """

    def __init__(self, config: str | dict[str, Any], checkpoint: str) -> None:
        super().__init__()
        self.checkpoint, self.source = checkpoint, config if isinstance(config, str) else None
        if isinstance(config, str):
            config = Config.fromfile(find_config(config)).model
        self.model = build_ours(MODELS, dict(copy.deepcopy(config)))
        self.model.requires_grad_(False)
        self.eval()

    @property
    def task(self) -> RecognitionTask:
        """Access to the parts of the model."""
        return recognition_task_of(self.model, 'a training algorithm')

    def train(self, mode: bool = True) -> Teacher:  # noqa: FBT001, FBT002  # torch's signature
        """Stays in evaluation mode."""
        super().train(False)
        return self

    def load(self) -> None:
        """Read the checkpoint.

        Raises:
            FileNotFoundError: If it does not exist; says how to train one.
            ValueError: If it is of another model.
        """
        try:
            load_weights(self.model, self.checkpoint)
        except FileNotFoundError as error:
            how = f' Train it: python tools/train.py {self.source}' if self.source else ''
            raise FileNotFoundError(f'a teacher is missing: {error}{how}') from error


def check_names(
    given: Mapping[str, Any], modalities: tuple[str, ...], *, every: bool = False
) -> None:
    """Raise a ValueError unless teachers are named as modalities are."""
    unknown = [m for m in given if m not in modalities]
    missing = [m for m in modalities if m not in given] if every else []
    if unknown or missing or not given:
        wanted = 'one for each of' if every else 'some of'
        raise ValueError(f'teachers must be {wanted} {modalities}; got {tuple(given)}.')


def find_config(path: str) -> Path:
    """A config file, relative to the working directory, the installation or the checkout.

    Raises:
        FileNotFoundError: If it is in none of them.
    """
    here = Path.cwd() / path
    if here.is_file():
        return here
    try:
        return shipped(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'config file {here} does not exist, and {error}') from error
