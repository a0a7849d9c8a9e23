"""Recognition by one feature per sample: a ``MultimodalClassifier``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.tokens import masked_mean
from mango_mm.models.tasks.task import Losses, RecognitionTask
from mango_mm.objectives import distill_categories, distill_labels

__all__ = ['ClassificationTask']


class ClassificationTask(RecognitionTask):
    """A ``MultimodalClassifier``."""

    degrades = 'text'

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
        logits, others, _ = self.model.classify(*_tokens_and_masks(features))
        found = self.model.head_losses(logits, samples)
        return logits, {n: {k: v} for n, (k, v) in zip(logits, found.items())}, others

    def decode_one(self, feature: Any, samples: Any, modality: str) -> Losses:
        head = self.model.head_of(modality)
        labels = head.targets(samples)
        seen = feature[1].any(dim=1)
        pooled = masked_mean(*feature)
        if not seen.any():
            return {f'loss_cls_{modality}': 0.0 * head(pooled).sum()}
        return {f'loss_cls_{modality}': head.loss(head(pooled[seen]), labels[seen])}

    def output_of(self, features: Mapping[str, Any], samples: Any) -> Tensor:
        tokens, masks = _tokens_and_masks(features)
        logits, _, _ = self.model.classify(tokens, masks)
        present = self.model.presence(samples)
        joint: Tensor
        if self.model.combine == 'trust':
            joint, _ = self.model.trusted(tokens, masks, logits, present)
        else:
            joint = self.model.combined(logits, present)
        return joint

    def last_layer(self, modality: str) -> nn.Module:
        layer: nn.Module = self.model.head_of(modality).layers[-1]
        return layer

    @property
    def head_input(self) -> nn.Module:
        if self.model.fusion is None:
            raise TypeError('a classifier without a fusion has no head of a fused prediction.')
        module: nn.Module = self.model.head_of('fused')
        return module

    def pooled(self, read: Any) -> Tensor:
        return torch.as_tensor(read)

    def to_match(self, feature: Any) -> list[Tensor]:
        return [masked_mean(*feature)]

    def tokens(self, feature: Any) -> tuple[Tensor, Tensor | None]:
        tokens, mask = feature
        return tokens, mask

    def distill(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        kind = self.model.head.kind
        if kind == 'regression':
            return (student - teacher).square().mean(dim=1)
        distance = distill_labels if kind == 'multi_label' else distill_categories
        return distance(student, teacher, temperature)

    def explained(
        self, logits: Tensor, classes: Sequence[str], target: str | None
    ) -> tuple[Tensor, str]:
        """The logit of a class; of the likeliest, if none is named."""
        index = int(logits[0].argmax()) if target is None else list(classes).index(target)
        weights = F.one_hot(torch.tensor([index], device=logits.device), logits.shape[1])
        return weights.to(logits), classes[index] if classes else f'class {index}'

    def uncertainty(self, sample: Any) -> dict[str, float]:
        if self.model.head.kind == 'regression':
            return {}
        p = sample.pred_score
        if self.model.head.kind == 'multi_class':
            return {
                'max_softmax': float(1 - p.max()),
                'entropy': float(torch.special.entr(p).sum()),
            }
        return {
            'max_softmax': float(1 - torch.maximum(p, 1 - p).mean()),
            'entropy': float((torch.special.entr(p) + torch.special.entr(1 - p)).mean()),
        }


def _tokens_and_masks(features: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return {m: x for m, (x, _) in features.items()}, {m: k for m, (_, k) in features.items()}
