"""What algorithms, analyses and inferencers ask of a model, whichever the task.

``segmentation.py``, ``classification.py`` and ``translation.py`` are the only places that know the
difference between the tasks. Features are what :meth:`Task.encode` returns, by modality: of
segmentation and translation a pyramid of maps, of classification tokens with their mask.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mango_mm.models.presence import presence

__all__ = ['Losses', 'RecognitionTask', 'Task']

Losses = dict[str, Tensor]


class Task(abc.ABC):
    """Access to the parts of one model.

    Args:
        model: It stays what it is; nothing is copied.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    @abc.abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model reads, in order."""

    @abc.abstractmethod
    def encode(self, inputs: Any, samples: Any) -> tuple[dict[str, Any], Losses]:
        """Features of every modality before they are fused, and the encoders' own losses."""

    @abc.abstractmethod
    def output_of(self, features: Mapping[str, Any], samples: Any) -> Tensor:
        """What the whole model makes of features, (B, K, ...): logits, or an image."""

    def output(self, inputs: Any, samples: Any) -> Tensor:
        """What the whole model predicts, (B, K, ...): logits, or an image."""
        return self.output_of(self.encode(inputs, samples)[0], samples)

    def presence(self, samples: Sequence[Any]) -> Tensor | None:
        """Which modalities the samples have, bool (B, M); None: all."""
        return presence([s.metainfo for s in samples], self.modalities, some=False)


class RecognitionTask(Task):
    """A task with classes: heads that give logits.

    Attributes:
        degrades: What the degradations of its data are of: ``'image'`` or ``'text'``.
    """

    degrades: str

    @abc.abstractmethod
    def encode_one(self, inputs: Any, samples: Any, modality: str) -> Any:
        """Features of one modality; nothing of the others runs."""

    @abc.abstractmethod
    def encoder_of(self, modality: str) -> list[nn.Module]:
        """The modules that only one modality passes through before fusion."""

    @abc.abstractmethod
    def decode(
        self, features: Mapping[str, Any], samples: Any
    ) -> tuple[dict[str, Tensor], dict[str, Losses], Losses]:
        """Logits by head, losses by head, and further losses.

        The heads are named by modality, and ``'fused'``.
        """

    @abc.abstractmethod
    def decode_one(self, feature: Any, samples: Any, modality: str) -> Losses:
        """The losses of one modality's head alone."""

    @abc.abstractmethod
    def last_layer(self, modality: str) -> nn.Module:
        """The linear layer that a modality's logits come from."""

    @property
    @abc.abstractmethod
    def head_input(self) -> nn.Module:
        """The module that is called with what the head of the fused prediction reads."""

    @abc.abstractmethod
    def pooled(self, read: Any) -> Tensor:
        """What the head reads, averaged over positions, (B, C)."""

    @abc.abstractmethod
    def to_match(self, feature: Any) -> list[Tensor]:
        """What a teacher's features are compared by."""

    @abc.abstractmethod
    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        """The deepest tokens of a modality, (B, N, C), and their mask."""

    @abc.abstractmethod
    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Distance of a student's logits from a teacher's, (B,)."""

    @abc.abstractmethod
    def explained(
        self, logits: Tensor, classes: Sequence[str], target: str | None
    ) -> tuple[Tensor, str]:
        """Weights of the logits in the score that an attribution explains, and its name.

        Args:
            logits: Of one sample, (1, K, ...).
            classes: Names of the K.
            target: One of them; None: what is predicted.
        """

    @abc.abstractmethod
    def uncertainty(self, sample: Any) -> dict[str, float]:
        """``max_softmax`` and ``entropy`` of a predicted sample; larger is less sure."""

    def losses(self, features: Mapping[str, Any], samples: Any) -> Losses:
        """All losses, by the names under which they are logged."""
        _, by_head, others = self.decode(features, samples)
        for found in by_head.values():
            others.update(found)
        return others
