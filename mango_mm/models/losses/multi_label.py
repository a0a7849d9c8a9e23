"""Losses of multi-label classification, means over samples and classes.

Shape letters: B samples, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.registry import MODELS

__all__ = ['AsymmetricLoss', 'MultiLabelBCELoss']


@MODELS.register_module()
class MultiLabelBCELoss(nn.Module):
    """Binary cross-entropy of every class.

    Args:
        pos_weight: Weight of the positive samples of each class (C,); None: 1.
    """

    def __init__(self, pos_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        weight = None if pos_weight is None else torch.tensor(pos_weight, dtype=torch.float32)
        self.register_buffer('pos_weight', weight, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of logits (B, C) against labels (B, C) in {0, 1}."""
        return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=self.pos_weight)


@MODELS.register_module()
class AsymmetricLoss(nn.Module):
    """ASL: easy negatives count for little, and very easy ones for nothing.

        p_m  = max(p - margin, 0)
        loss = -y (1 - p)^gamma_pos ln p - (1 - y) p_m^gamma_neg ln(1 - p_m)

    Args:
        gamma_pos: Focus on hard positives.
        gamma_neg: Focus on hard negatives.
        margin: Probability below which a negative counts for nothing.

    Source:
        Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021,
        https://arxiv.org/abs/2009.14119, Eq. 4-7.
    Differs from its code:
        a mean, not a sum, over samples and classes; gradients flow through the weights, as the
        formula says.
    """

    def __init__(
        self, gamma_pos: float = 0.0, gamma_neg: float = 4.0, margin: float = 0.05
    ) -> None:
        super().__init__()
        self.gamma_pos, self.gamma_neg, self.margin = gamma_pos, gamma_neg, margin

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of logits (B, C) against labels (B, C) in {0, 1}."""
        p = torch.sigmoid(logits)
        shifted = (p - self.margin).clamp(min=0)
        # 1 - sigmoid(x) = sigmoid(-x): no cancellation where p is near 1.
        positive = torch.sigmoid(-logits) ** self.gamma_pos * F.logsigmoid(logits)
        negative = shifted**self.gamma_neg * torch.log1p(-shifted.clamp(max=1 - 1e-6))
        return -(labels * positive + (1 - labels) * negative).mean()
