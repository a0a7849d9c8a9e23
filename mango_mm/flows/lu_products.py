"""Applying W = L U over the token axis: by its factors, or formed once for the batch.

Applying L and U costs twice what applying W does, and a triangular solve costs more than
a product; forming W and W^-1 costs N^3, whatever the batch. Measured on a CPU, a training
step of LICA at N = 512, D = 256 takes as long either way for one sample, and 0.6 times as
long with W for eight; so only long sequences in small batches go through the factors.

Shape letters: B batch, N tokens, D channels, c columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mango_mm.flows.tracing import is_transformed

__all__ = ['apply_matrix', 'form', 'forming_pays']


def forming_pays(num_tokens: int, batch: int, dim: int) -> bool:
    """Whether W and its inverse are cheaper than L and U, backward pass included."""
    return num_tokens <= 2 * batch * dim


class _ApplyMatrix(torch.autograd.Function):
    """A x for one matrix and a batch; the matrix' gradient is summed as it is made."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix, x)
        return torch.bmm(matrix.expand(x.shape[0], -1, -1), x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        matrix, x = ctx.saved_tensors
        dx = torch.bmm(matrix.mT.expand(x.shape[0], -1, -1), dy)
        return torch.addbmm(matrix, dy, x.mT, beta=0), dx


def apply_matrix(matrix: Tensor, x: Tensor) -> Tensor:
    """``matrix`` (c, N) applied to the tokens of every sample, (B, N, D) to (B, c, D)."""
    if is_transformed(matrix, x):
        return matrix @ x
    return _ApplyMatrix.apply(matrix, x)  # type: ignore[no-untyped-call]


class _Form(torch.autograd.Function):
    """W = L U and Z = W^-1 E. With K = W^-T dZ: dW' = dW - K Z^T, dL = dW' U^T, dU = L^T dW'."""

    @staticmethod
    def forward(ctx: Any, lower: Tensor, upper: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.linalg.solve_triangular(lower, wanted, upper=False, unitriangular=True)
        z = torch.linalg.solve_triangular(upper, z, upper=True)
        ctx.save_for_backward(lower, upper, z)
        return lower @ upper, z

    @staticmethod
    def backward(ctx: Any, dw: Tensor, dz: Tensor) -> tuple[Tensor, Tensor, None]:
        lower, upper, z = ctx.saved_tensors
        k = torch.linalg.solve_triangular(upper.mT, dz, upper=False)
        k = torch.linalg.solve_triangular(lower.mT, k, upper=True, unitriangular=True)
        dw = torch.addmm(dw, k, z.mT, alpha=-1)
        return dw @ upper.mT, lower.mT @ dw, None


def form(lower: Tensor, upper: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """W = L U, (N, N), and W^-1 E for the columns E = ``wanted``, (N, c)."""
    if is_transformed(lower, upper):
        z = torch.linalg.solve_triangular(lower, wanted, upper=False, unitriangular=True)
        return lower @ upper, torch.linalg.solve_triangular(upper, z, upper=True)
    return _Form.apply(lower, upper, wanted)  # type: ignore[no-untyped-call]
