"""Multi-label head: one logit per class, and from which score on a class is said."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mango_mm.models.heads.perceptron_head import PerceptronHead
from mango_mm.registry import MODELS, build_ours
from mango_mm.structures import MultiLabelSample

__all__ = ['MultiLabelHead']


@MODELS.register_module()
class MultiLabelHead(PerceptronHead):
    """A perceptron over one feature vector per sample.

    Args:
        in_channels: See :class:`PerceptronHead`.
        num_classes: C.
        hidden_channels: See :class:`PerceptronHead`.
        dropout: See :class:`PerceptronHead`.
        loss: Config of ``MultiLabelBCELoss`` or ``AsymmetricLoss``.
        init_cfg: The same as in mmengine.

    Attributes:
        thresholds: Scores from which on a class is predicted, (C,): 0.5, until
            ``ThresholdHook`` has chosen them on validation data. They are in the checkpoint.
    """

    thresholds: Tensor
    kind = 'multi_label'
    sample_type = MultiLabelSample

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        loss: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, hidden_channels, dropout, init_cfg)
        self.criterion = build_ours(MODELS, dict(loss or {'type': 'MultiLabelBCELoss'}))
        self.register_buffer('thresholds', torch.full((num_classes,), 0.5))

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of logits (B, C) against labels (B, C)."""
        value: Tensor = self.criterion(logits, labels)
        return value

    def predict(self, logits: Tensor) -> dict[str, Tensor]:
        """Probabilities and thresholds, (B, C) each."""
        return {
            'pred_score': logits.sigmoid(),
            'thresholds': self.thresholds.expand(len(logits), -1).clone(),
        }
