"""Glow's invertible 1 x 1 convolution: a linear map over the channels of every token.

    y = x W^T,   W = P L (U + diag(s))
    ln|det dy/dx| = N * sum_c ln s_c

A step of Glow is ActNorm, this, and an affine coupling; on tokens all three treat every
position alike, so that no information passes between positions.

Shape letters: B batch, N tokens, D channels.

Source:
    Kingma & Dhariwal, Glow, NeurIPS 2018, https://arxiv.org/abs/1807.03039, Section 3.2, Eq. 10.
Differs from it:
    ln s is soft-clamped and s > 0, because the sign of W changes nothing that a flow can
    see; the start is a random rotation there, a random permutation here, whose PLU form
    is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection

__all__ = ['ChannelLinear']


class ChannelLinear(Bijection):
    """Invertible mixing of D channels by a learnable matrix, for every token alike.

    Args:
        dim: Channels D.
        clamp: Bound of |ln s|, approached smoothly.

    Example:
        >>> y, log_det = ChannelLinear(4)(torch.randn(2, 3, 4))
        >>> y.shape, log_det.tolist()
        (torch.Size([2, 3, 4]), [0.0, 0.0])
    """

    order: Tensor

    def __init__(self, dim: int, *, clamp: float = 2.0) -> None:
        super().__init__()
        self.dim, self.clamp = dim, clamp
        self.register_buffer('order', torch.randperm(dim))
        self.lower = nn.Parameter(torch.zeros(dim, dim))
        self.upper = nn.Parameter(torch.zeros(dim, dim))
        self.raw_log_s = nn.Parameter(torch.zeros(dim))

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        lower, upper, log_s = self._factors()
        y = (x @ (lower @ upper).T)[..., self.order]
        if mask is not None:
            y = torch.where(mask[..., None], y, x)
        return y, self._terms(x, mask, log_s)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        lower, upper, log_s = self._factors()
        # Columns are tokens: two triangular solves for all of them together.
        columns = y[..., self.order.argsort()].flatten(0, 1).T
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        x = columns.T.view_as(y)
        if mask is not None:
            x = torch.where(mask[..., None], x, y)
        return x, -self._terms(y, mask, log_s)

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        log_s = self.clamp * torch.tanh(self.raw_log_s / self.clamp)
        eye = torch.eye(self.dim, dtype=log_s.dtype, device=log_s.device)
        return self.lower.tril(-1) + eye, self.upper.triu(1) + torch.diag(log_s.exp()), log_s

    @staticmethod
    def _terms(x: Tensor, mask: Tensor | None, log_s: Tensor) -> Tensor:
        total = log_s.sum()
        return total.expand(x.shape[:2]) if mask is None else mask * total
