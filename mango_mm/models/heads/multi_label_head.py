"""Multi-label head: one logit per class, and from which score on a class is said."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.registry import MODELS, build_ours

__all__ = ['MultiLabelHead']


@MODELS.register_module()
class MultiLabelHead(BaseModule):
    """A perceptron over one feature vector per sample.

    Args:
        in_channels: Of the feature.
        num_classes: C.
        hidden_channels: Of a hidden layer; None: none.
        dropout: Of the feature, and of the hidden layer.
        loss: Config of ``MultiLabelBCELoss`` or ``AsymmetricLoss``.
        init_cfg: The same as in mmengine.

    Attributes:
        thresholds: Scores from which on a class is predicted, (C,): 0.5, until
            ``ThresholdHook`` has chosen them on validation data. They are in the checkpoint.
    """

    thresholds: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        loss: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        hidden = hidden_channels or in_channels
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden_channels:
            layers += [nn.Linear(in_channels, hidden), nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, num_classes))
        self.criterion = build_ours(MODELS, dict(loss or {'type': 'MultiLabelBCELoss'}))
        self.register_buffer('thresholds', torch.full((num_classes,), 0.5))

    def forward(self, feature: Tensor) -> Tensor:
        """Logits (B, C) of features (B, in_channels)."""
        logits: Tensor = self.layers(feature)
        return logits

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of logits (B, C) against labels (B, C)."""
        value: Tensor = self.criterion(logits, labels)
        return value
