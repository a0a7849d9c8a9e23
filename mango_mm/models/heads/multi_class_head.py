"""Multi-class head: one class of several."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.heads.perceptron_head import PerceptronHead
from mango_mm.registry import MODELS

__all__ = ['MultiClassHead']


@MODELS.register_module()
class MultiClassHead(PerceptronHead):
    """A perceptron with a softmax over its outputs.

    Args:
        in_channels: See :class:`PerceptronHead`.
        num_classes: C.
        hidden_channels: See :class:`PerceptronHead`.
        dropout: See :class:`PerceptronHead`.
        label_smoothing: The same as in torch's cross-entropy.
        init_cfg: The same as in mmengine.
    """

    kind = 'multi_class'

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, hidden_channels, dropout, init_cfg)
        self.label_smoothing = label_smoothing

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of logits (B, C) against classes (B,)."""
        labels = labels.long().reshape(-1)
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def predict(self, logits: Tensor) -> dict[str, Tensor]:
        """The probability of each class, (B, C)."""
        return {'pred_score': logits.softmax(dim=1)}
