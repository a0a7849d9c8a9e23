"""(I + g P)^-1 applied exactly, block by block, in memory linear in the token count.

    x_b = (I + g P_bb)^-1 (y_b - g P_b< x_<)        blocks b from the first to the last

P_b< x_< is a product with the scores of one block of rows; a flash kernel in its place was
measured as fast on CPU (0.9 to 1.3 times the time), so it is not worth another path.

The backward pass is the same walk from the end, with w = (I + g P)^-T dx, after which
everything is the gradient of attention for the weights -g w:

    w_b = (I + g P_bb)^-T (dx_b - g sum_{a > b} P_ab^T w_a)
    dy = w,   dg = -sum w o,   dS_ij = P_ij (-g w_i . x_j + w_i . (y_i - x_i) - c_i)

with o = P x and c = d ln P_ii.

Shape letters: B batch, H heads, n tokens, b rows of a block, d channels of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mango_mm.flows.triangular_attention.chunked import BLOCK, exponentials
from mango_mm.flows.triangular_attention.reference import flush_, hide

__all__ = ['solve_blocks']


class _BlockSolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        y: Tensor,
        gate: Tensor,
        mask: Tensor | None,
        block: int,
    ) -> tuple[Tensor, Tensor]:
        n, g = q.shape[-2], gate[:, None, None]
        x, lses = torch.empty_like(y), []
        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            scores = hide(q[..., rows, :] @ k[..., : rows.stop, :].mT, start, mask)
            weights, total, lse = exponentials(scores, flush=True)
            share = _real(g, mask, rows) / total[..., None]
            right = y[..., rows, :]
            if start:
                before = weights[..., :start] @ x[..., :start, :]
                right = torch.addcmul(right, before, share, value=-1)
            x[..., rows, :] = _solve_block(weights[..., start:], share, right)
            lses.append(lse)
        lse = torch.cat(lses, -1)
        ctx.save_for_backward(q, k, x, y, gate, lse, mask)
        ctx.block = block
        return x, (q * k).sum(-1) - lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, y, gate, lse, mask = ctx.saved_tensors
        n, g = q.shape[-2], gate[:, None, None]
        w = dx.clone()  # the right-hand sides, then, from the end, the solutions
        dq, dk = c[..., None] * k, c[..., None] * q
        dgate = torch.zeros_like(gate)
        for start in reversed(range(0, n, ctx.block)):
            rows = slice(start, min(start + ctx.block, n))
            seen = slice(0, rows.stop)
            scores = hide(q[..., rows, :] @ k[..., seen, :].mT, start, mask)
            p = flush_(scores.sub_(lse[..., rows, None])).exp_()
            g_rows = _real(g, mask, rows)
            w_rows = _solve_block(p[..., start:], g_rows, w[..., rows, :], transposed=True)
            w[..., rows, :] = w_rows
            weights = g_rows * w_rows
            w[..., :start, :] -= p[..., :start].mT @ weights
            by_gate = _real(w_rows, mask, rows) * (p @ x[..., seen, :])
            dgate -= by_gate.sum(dim=(0, 2, 3))
            shift = (w_rows * (y[..., rows, :] - x[..., rows, :])).sum(-1) - c[..., rows]
            ds = (weights @ x[..., seen, :].mT).neg_().add_(shift[..., None]).mul_(p)
            dq[..., rows, :] += ds @ k[..., seen, :]
            dk[..., seen, :] += ds.mT @ q[..., rows, :]
        return dq, dk, w, dgate, None, None


def _real(factor: Tensor, mask: Tensor | None, rows: slice) -> Tensor:
    """``factor`` where a row is real, 0 where it is padding: there the matrix is I."""
    return factor if mask is None else factor * mask[:, None, rows, None]


def _solve_block(p: Tensor, g: Tensor, right: Tensor, *, transposed: bool = False) -> Tensor:
    """(I + g p)^-1, or its transpose, applied to one block of rows, (B, H, b, d)."""
    matrix = p * g
    matrix.diagonal(dim1=-2, dim2=-1).add_(1)
    if transposed:
        return torch.linalg.solve_triangular(matrix.mT, right, upper=True)
    return torch.linalg.solve_triangular(matrix, right, upper=False)


def solve_blocks(
    q: Tensor,
    k: Tensor,
    y: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """Solve (I + g P) x = y by block substitution.

    Args:
        q: Queries, scaled, (B, H, n, d).
        k: Keys, (B, H, n, d).
        y: Right-hand side, (B, H, n, d).
        gate: g of every head, (H,).
        mask: True where a token is real, (B, n); rows of padded tokens are the identity's.
        block: Rows solved at a time.

    Returns:
        x: (B, H, n, d). Differentiable once, also in O(n * block) memory.
        log_diagonal: ln P_ii, (B, H, n).
    """
    return _BlockSolve.apply(q, k, y, gate, mask, block)  # type: ignore[no-untyped-call]
