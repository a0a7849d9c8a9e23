"""Keeps the updates of a layer apart that is trained in turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ['GradientProjection']


class GradientProjection(nn.Module):
    """Keeps updates of a linear layer out of directions that earlier inputs have used.

        k = P r,   P <- P - k k' / (alpha + r' k),   P <- P / ||P||_F          after every turn
        gradient of W (K, C)  <-  gradient @ P                                 before every step

    r is the mean input of the turn just trained, P starts as the identity. So the gradient of a
    turn is projected with the inputs of the turns before it.

    Source: MLA (Zhang et al., CVPR 2024), a recursive least-squares projection.
    Differs from its released code (Cecile-hi/MLA ab6c184), in which the projection never reaches
    the head (it looks for a parameter named ``module.weight``); which updates P with the features
    of the very turn whose gradient it projects, and so would remove the gradient's own main
    direction: of one sample it is an outer product with r; and which divides elementwise by the
    C x C matrix alpha + k r instead of the number alpha + r' k.

    Args:
        channels: C, of the layer's input.
    """

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('matrix', torch.eye(channels))

    def project(self, gradient: Tensor) -> Tensor:
        """A gradient (K, C, ...) of as many elements, projected; shape unchanged."""
        return (gradient.flatten(1) @ self.matrix.T.to(gradient)).view_as(gradient)

    @torch.no_grad()
    def update(self, mean_input: Tensor, alpha: float) -> None:
        """Take in the mean input (C,) of a turn.

        Args:
            mean_input: r.
            alpha: The smaller, the more completely r is left out afterwards.
        """
        r = mean_input.to(self.matrix)
        k = self.matrix @ r
        matrix = self.matrix - torch.outer(k, k) / (alpha + r @ k)
        self.matrix.copy_(matrix / matrix.norm())
