"""Segmentation: a ``MultimodalEncoderDecoder``, or another segmentor of mmseg's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.tokens import map_to_tokens
from mango_mm.models.backbones import MultiStreamBackbone
from mango_mm.models.presence import blanked, presence
from mango_mm.models.tasks.task import Losses, RecognitionTask
from mango_mm.objectives import distill_categories

__all__ = ['SegmentationTask']


class SegmentationTask(RecognitionTask):
    """A ``MultimodalEncoderDecoder``."""

    degrades = 'image'

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.model.backbone.use)

    def encode(self, inputs: Any, samples: Any) -> tuple[dict[str, Any], Losses]:
        found: tuple[dict[str, Any], Losses] = self.model.encode(inputs, _metas(samples))
        return found

    def encode_one(self, inputs: Any, samples: Any, modality: str) -> Any:
        pyramid = self.model.backbone.encode_one(inputs, modality)
        seen = self._seen(samples, modality)
        return pyramid if seen is None else blanked(pyramid, seen.to(pyramid[0].device))

    def encoder_of(self, modality: str) -> list[nn.Module]:
        backbone = self.model.backbone
        if type(backbone) is not MultiStreamBackbone or backbone.sharing == 'shared':
            raise TypeError(
                'the algorithm needs a MultiStreamBackbone with a stream per modality; got a '
                f'{type(backbone).__name__} with sharing={getattr(backbone, "sharing", None)!r}.'
            )
        return [backbone.streams[modality]]

    def decode(
        self, features: Mapping[str, Any], samples: Any
    ) -> tuple[dict[str, Tensor], dict[str, Losses], Losses]:
        read, others, _ = self.model.merge(features, self.model.presence(_metas(samples)))
        head, samples = self.model.decode_head, self._learned_from(samples)
        if self.model.with_auxiliary_head:
            others = {**others, **self.model._auxiliary_head_forward_train(read, samples)}
        if isinstance(head, nn.ModuleList):  # a cascade: each head reads what the one before gave
            found = self.model._decode_head_forward_train(read, samples)
            return {'fused': self._logits(read, samples)}, {'fused': found}, dict(others)
        if not hasattr(head, 'losses_of'):
            logits = head.forward(read)
            found = head.loss_by_feat(logits, samples)
            return {'fused': logits}, {'fused': _prefixed(found)}, dict(others)
        by_name = head.logits(read)
        losses: dict[str, Losses] = {name: {} for name in by_name}
        for key, value in _prefixed(head.losses_of(by_name, samples)).items():
            losses.setdefault(key.split('.')[1], {})[key] = value
        return by_name, losses, dict(others)

    def decode_one(self, feature: Any, samples: Any, modality: str) -> Losses:
        head, seen = self._head_of(modality), self._seen(samples, modality)
        if seen is not None and not seen.any():
            return {f'decode.{modality}.loss_ce': 0.0 * head(feature).sum()}
        if seen is not None:  # head, norms and MLA's projection see the others alone
            feature = [x[seen.to(x.device)] for x in feature]
            samples = [sample for sample, has in zip(samples, seen.tolist()) if has]
        found = head.loss_by_feat(head(feature), self._learned_from(samples))
        return {f'decode.{modality}.{key}': value for key, value in found.items()}

    def _seen(self, samples: Any, modality: str) -> Tensor | None:
        """Which samples have a modality, bool (B,); None: all."""
        found = presence(_metas(samples), self.modalities, some=False)
        return None if found is None else found[:, self.modalities.index(modality)]

    def output_of(self, features: Mapping[str, Any], samples: Any) -> Tensor:
        read, _, _ = self.model.merge(features, self.model.presence(_metas(samples)))
        return self._logits(read, samples)

    def _logits(self, read: Any, samples: Any) -> Tensor:
        """What the head makes of it: of a cascade at the size of the images."""
        head = self.model.decode_head
        if not isinstance(head, nn.ModuleList):
            return torch.as_tensor(head(read))
        logits: Tensor = self.model.decode(read, [dict(s.metainfo) for s in samples])
        return logits

    def _learned_from(self, samples: Any) -> Any:
        thinned = getattr(self.model, 'thinned', None)
        return samples if thinned is None else thinned(samples)

    def last_layer(self, modality: str) -> nn.Module:
        layer: nn.Module = self._head_of(modality).conv_seg
        return layer

    @property
    def head_input(self) -> nn.Module:
        module: nn.Module = self.model.head_input
        return module

    def pooled(self, read: Any) -> Tensor:
        if isinstance(read, Mapping):
            read = [m for pyramid in read.values() for m in pyramid]
        maps = [read] if isinstance(read, Tensor) else list(read)
        return torch.cat([m.flatten(2).mean(dim=2) for m in maps], dim=1)

    def _head_of(self, modality: str) -> Any:
        head = self.model.decode_head
        if not hasattr(head, 'heads'):
            raise ValueError(
                'an algorithm that trains the head of every modality needs an EnsembleHead; got a '
                f'{type(head).__name__}.'
            )
        return head.heads[modality]

    def to_match(self, feature: Any) -> list[Tensor]:
        return list(feature)

    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        return map_to_tokens(feature[-1]), None

    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        if teacher.shape[-2:] != student.shape[-2:]:
            teacher = F.interpolate(
                teacher, student.shape[-2:], mode='bilinear', align_corners=False
            )
        return distill_categories(student, teacher, temperature)

    def explained(
        self, logits: Tensor, classes: Sequence[str], target: str | None
    ) -> tuple[Tensor, str]:
        """The predicted class's logit above the mean over classes, averaged over pixels."""
        predicted = logits.argmax(dim=1)
        pixels = torch.ones_like(predicted, dtype=torch.bool)
        if target is not None:
            pixels = predicted == list(classes).index(target)
        chosen = F.one_hot(predicted, logits.shape[1]).movedim(-1, 1).to(logits)
        weights = (chosen - 1 / logits.shape[1]) * pixels[:, None]
        return weights / pixels.sum().clamp(min=1), target or 'predicted classes'

    def uncertainty(self, sample: Any) -> dict[str, float]:
        p = sample.seg_logits.data.softmax(dim=0)
        return {
            'max_softmax': float(1 - p.amax(dim=0).mean()),
            'entropy': float(torch.special.entr(p).sum(dim=0).mean()),
        }


def _metas(samples: Any) -> list[Mapping[str, Any]]:
    return [sample.metainfo for sample in samples or ()]


def _prefixed(losses: Mapping[str, Tensor]) -> Losses:
    return {f'decode.{key}': value for key, value in losses.items()}
