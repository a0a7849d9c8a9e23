"""What a strategy asks of a model, whichever the task: the one place that knows the difference.

Features are what :meth:`Task.encode` returns, by modality: of segmentation a pyramid of maps,
of classification tokens with their mask.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.fusion.teaching import distill_categories, distill_labels
from mango_mm.fusion.tokens import map_to_tokens
from mango_mm.models.backbones import MultiStreamBackbone
from mango_mm.models.classifiers import MultimodalClassifier
from mango_mm.models.classifiers.multimodal_classifier import masked_mean
from mango_mm.models.presence import presence

__all__ = ['Task', 'task_of']

Losses = dict[str, Tensor]


class Task(abc.ABC):
    """Access to the parts of one model."""

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
    def logits(self, inputs: Any, samples: Any) -> Tensor:
        """What the whole model predicts, (B, K, ...)."""

    @abc.abstractmethod
    def last_layer(self, modality: str) -> nn.Module:
        """The linear layer that a modality's logits come from."""

    @abc.abstractmethod
    def to_match(self, feature: Any) -> list[Tensor]:
        """What a teacher's features are compared by."""

    @abc.abstractmethod
    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        """The deepest tokens of a modality, (B, N, C), and their mask."""

    @abc.abstractmethod
    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Distance of a student's logits from a teacher's, (B,)."""

    def losses(self, features: Mapping[str, Any], samples: Any) -> Losses:
        """All losses, by the names under which they are logged."""
        _, by_head, others = self.decode(features, samples)
        for found in by_head.values():
            others.update(found)
        return others

    def presence(self, samples: Sequence[Any]) -> Tensor | None:
        """Which modalities the samples have, bool (B, M); None: all."""
        return presence([s.metainfo for s in samples], self.modalities, some=False)


class SegmentationTask(Task):
    """A ``MultimodalEncoderDecoder``."""

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.model.backbone.use)

    def encode(self, inputs: Any, samples: Any) -> tuple[dict[str, Any], Losses]:
        found: tuple[dict[str, Any], Losses] = self.model.encode(inputs, _metas(samples))
        return found

    def encode_one(self, inputs: Any, samples: Any, modality: str) -> Any:
        return self.model.backbone.encode_one(inputs, modality)

    def encoder_of(self, modality: str) -> list[nn.Module]:
        backbone = self.model.backbone
        if type(backbone) is not MultiStreamBackbone or backbone.sharing == 'shared':
            raise TypeError(
                'the strategy needs a MultiStreamBackbone with a stream per modality; got a '
                f'{type(backbone).__name__} with sharing={getattr(backbone, "sharing", None)!r}.'
            )
        return [backbone.streams[modality]]

    def decode(
        self, features: Mapping[str, Any], samples: Any
    ) -> tuple[dict[str, Tensor], dict[str, Losses], Losses]:
        merged, others, _ = self.model.merge(features, self.model.presence(_metas(samples)))
        head = self.model.decode_head
        if self.model.with_auxiliary_head:
            others = {**others, **self.model._auxiliary_head_forward_train(merged, samples)}
        if not hasattr(head, 'losses_of'):
            logits = head.forward(merged)
            found = head.loss_by_feat(logits, samples)
            return {'fused': logits}, {'fused': _prefixed(found)}, dict(others)
        by_name = head.logits(merged)
        losses: dict[str, Losses] = {name: {} for name in by_name}
        for key, value in _prefixed(head.losses_of(by_name, samples)).items():
            losses.setdefault(key.split('.')[1], {})[key] = value
        return by_name, losses, dict(others)

    def decode_one(self, feature: Any, samples: Any, modality: str) -> Losses:
        head = self._head_of(modality)
        found = head.loss_by_feat(head(feature), samples)
        return {f'decode.{modality}.{key}': value for key, value in found.items()}

    def logits(self, inputs: Any, samples: Any) -> Tensor:
        features, _ = self.encode(inputs, samples)
        merged, _, _ = self.model.merge(features, self.model.presence(_metas(samples)))
        predicted: Tensor = self.model.decode_head(merged)
        return predicted

    def last_layer(self, modality: str) -> nn.Module:
        layer: nn.Module = self._head_of(modality).conv_seg
        return layer

    def _head_of(self, modality: str) -> Any:
        head = self.model.decode_head
        if not hasattr(head, 'heads'):
            raise ValueError(
                'a strategy that trains the head of every modality needs an EnsembleHead; got a '
                f'{type(head).__name__}.'
            )
        return head.heads[modality]

    def to_match(self, feature: Any) -> list[Tensor]:
        return list(feature)

    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        return map_to_tokens(feature[-1]), None

    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        if teacher.shape[-2:] != student.shape[-2:]:
            teacher = nn.functional.interpolate(
                teacher, student.shape[-2:], mode='bilinear', align_corners=False
            )
        return distill_categories(student, teacher, temperature)


class ClassificationTask(Task):
    """A ``MultimodalClassifier``."""

    @property
    def modalities(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.model.modalities
        return names

    def encode(self, inputs: Any, samples: Any) -> tuple[dict[str, Any], Losses]:
        tokens, masks = self.model.encode(inputs, samples)
        return {m: (tokens[m], masks[m]) for m in self.modalities}, {}

    def encode_one(self, inputs: Any, samples: Any, modality: str) -> Any:
        tokens, masks = self.model.encode(inputs, samples, only=(modality,))
        return tokens[modality], masks[modality]

    def encoder_of(self, modality: str) -> list[nn.Module]:
        return [self.model.encoders[modality], self.model.enter[modality]]

    def decode(
        self, features: Mapping[str, Any], samples: Any
    ) -> tuple[dict[str, Tensor], dict[str, Losses], Losses]:
        tokens = {m: x for m, (x, _) in features.items()}
        masks = {m: mask for m, (_, mask) in features.items()}
        logits, others, _ = self.model.classify(tokens, masks)
        found = self.model.head_losses(logits, samples)
        return logits, {n: {k: v} for n, (k, v) in zip(logits, found.items())}, others

    def decode_one(self, feature: Any, samples: Any, modality: str) -> Losses:
        labels = torch.stack([sample.gt_label for sample in samples])
        head = self.model.head_of(modality)
        seen = feature[1].any(dim=1)
        logits = head(masked_mean(*feature))
        if not seen.any():
            return {f'loss_cls_{modality}': 0.0 * logits.sum()}
        return {f'loss_cls_{modality}': head.loss(logits[seen], labels[seen])}

    def logits(self, inputs: Any, samples: Any) -> Tensor:
        predicted: Tensor = self.model(inputs, samples, mode='tensor')
        return predicted

    def last_layer(self, modality: str) -> nn.Module:
        layer: nn.Module = self.model.head_of(modality).layers[-1]
        return layer

    def to_match(self, feature: Any) -> list[Tensor]:
        return [masked_mean(*feature)]

    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        tokens, mask = feature
        return tokens, mask

    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        return distill_labels(student, teacher, temperature)


def _metas(samples: Any) -> list[Mapping[str, Any]]:
    return [sample.metainfo for sample in samples or ()]


def task_of(model: Any) -> Task:
    """The task of a model.

    Raises:
        TypeError: If it is neither a multimodal segmentor nor a multimodal classifier.
    """
    if isinstance(model, MultimodalClassifier):
        return ClassificationTask(model)
    if hasattr(model, 'merge') and hasattr(model, 'decode_head'):
        return SegmentationTask(model)
    raise TypeError(
        'a strategy trains a MultimodalEncoderDecoder or a MultimodalClassifier; got a '
        f'{type(model).__name__}.'
    )


def _prefixed(losses: Mapping[str, Tensor]) -> Losses:
    return {f'decode.{key}': value for key, value in losses.items()}
