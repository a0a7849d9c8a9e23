"""What heads over one feature vector per sample share."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.structures import MultiLabelSample, SequenceSample

__all__ = ['PerceptronHead']


class PerceptronHead(BaseModule, abc.ABC):
    """A perceptron over one feature vector per sample.

    Args:
        in_channels: Of the feature.
        num_classes: Outputs.
        hidden_channels: Of a hidden layer; None: none.
        dropout: Of the feature, and of the hidden layer.
        init_cfg: The same as in mmengine.

    Attributes:
        kind: ``'multi_label'``, ``'multi_class'`` or ``'regression'``.
        sample_type: Of the samples that it predicts.
    """

    kind: str
    sample_type: type[MultiLabelSample | SequenceSample] = SequenceSample

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        hidden = hidden_channels or in_channels
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden_channels:
            layers += [nn.Linear(in_channels, hidden), nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, num_classes))

    def forward(self, feature: Tensor) -> Tensor:
        """Logits or values (B, C) of features (B, in_channels)."""
        logits: Tensor = self.layers(feature)
        return logits

    def targets(self, samples: Sequence[Any]) -> Tensor:
        """The labels of a batch, stacked."""
        return torch.stack([sample.gt_label for sample in samples])

    @abc.abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar."""

    @abc.abstractmethod
    def predict(self, logits: Tensor) -> dict[str, Tensor]:
        """What a sample is given, by field, one row per sample."""
