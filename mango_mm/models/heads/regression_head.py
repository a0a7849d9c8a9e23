"""Regression head: numbers, such as the intensity of a sentiment."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.heads.perceptron_head import PerceptronHead
from mango_mm.registry import MODELS

__all__ = ['RegressionHead']

LOSSES = {'l1': F.l1_loss, 'mse': F.mse_loss, 'smooth_l1': F.smooth_l1_loss}


@MODELS.register_module()
class RegressionHead(PerceptronHead):
    """A perceptron that predicts numbers.

    Args:
        in_channels: See :class:`PerceptronHead`.
        num_classes: How many numbers.
        hidden_channels: See :class:`PerceptronHead`.
        dropout: See :class:`PerceptronHead`.
        loss: ``'l1'`` (MulT's), ``'mse'`` or ``'smooth_l1'``.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If the loss is unknown.
    """

    kind = 'regression'

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 1,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        loss: str = 'l1',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, hidden_channels, dropout, init_cfg)
        if loss not in LOSSES:
            raise ValueError(f'loss must be one of {tuple(LOSSES)}; got {loss!r}.')
        self.criterion = LOSSES[loss]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of values (B, R) against labels (B, R)."""
        return self.criterion(logits, labels.to(logits).reshape(logits.shape))

    def predict(self, logits: Tensor) -> dict[str, Tensor]:
        """The values, (B, R)."""
        return {'pred_value': logits}
