"""(I + g P)^-1 applied exactly, block by block, in memory linear in the token count.

    x_b = (I + g P_bb)^-1 (y_b - g P_b< x_<)        blocks b from the first to the last

P_b< x_< is a product with the scores of one block of rows; a flash kernel in its place was
measured as fast on CPU (0.9 to 1.3 times the time), so it is not worth another path.

The backward pass is the same walk from the end, with w = (I + g P)^-T dx, after which
everything is the gradient of attention for the weights -g w:

    w_b = (I + g P_bb)^-T (dx_b - g sum_{a > b} P_ab^T w_a)
    dy = w,   dg = -sum w o,   dS_ij = P_ij (-g w_i . x_j + w_i . (y_i - x_i) - c_i)

with o = P x and c = d ln P_ii.

Shape letters: B batch, H heads, n tokens, b rows of a block, d channels of a head; inside,
heads are samples of the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mango_mm.flows.triangular_attention.chunked import (
    BLOCK,
    exponentials,
    flatten_heads,
    of_samples,
    own_scores,
)
from mango_mm.flows.triangular_attention.reference import flush_, hide, solve_dense, triangle
from mango_mm.flows.triangular_attention.transforms import backward_twice, wants_graph

__all__ = ['solve_blocks']


class _BlockSolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, y: Tensor, g: Tensor, padded: Tensor | None, block: int
    ) -> tuple[Tensor, Tensor]:
        n, above = q.shape[-2], triangle(block, q)
        x, lses, own = torch.empty_like(y), [], []
        for start in range(0, n, block):
            end = min(start + block, n)
            scores = hide(torch.bmm(q[:, start:end], k[:, :end].mT), start, above, padded)
            own.append(own_scores(scores, start))
            weights, total, lse = exponentials(scores, flush=True)
            share = _gates_of_rows(g, padded, start, end) / total[..., None]
            right = y[:, start:end]
            if start:
                before = torch.bmm(weights[..., :start], x[:, :start])
                right = torch.addcmul(right, before, share, value=-1)
            x[:, start:end] = _solve_block(weights[..., start:], share, right)
            lses.append(lse)
        lse = torch.cat(lses, -1)
        ctx.save_for_backward(q, k, x, y, g, lse, padded)
        ctx.block = block
        return x, torch.cat(own, -1) - lse

    @staticmethod
    def backward(ctx: Any, dx: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, y, g, lse, padded = ctx.saved_tensors
        if wants_graph():
            dense, needed = of_samples(solve_dense, padded), ctx.needs_input_grad[:4]
            return (*backward_twice(dense, (q, k, y, g), needed, (dx, c)), None, None)
        n, above = q.shape[-2], triangle(ctx.block, q)
        w = dx.clone()  # the right-hand sides, then, from the end, the solutions
        dq, dk, dg = c[..., None] * k, c[..., None] * q, torch.zeros_like(g)
        for start in reversed(range(0, n, ctx.block)):
            end = min(start + ctx.block, n)
            scores = hide(torch.bmm(q[:, start:end], k[:, :end].mT), start, above, padded)
            p = flush_(scores.sub_(lse[:, start:end, None])).exp_()
            g_rows = _gates_of_rows(g, padded, start, end)
            w_rows = _solve_block(p[..., start:], g_rows, w[:, start:end], transposed=True)
            w[:, start:end] = w_rows
            weights = g_rows * w_rows
            w[:, :start] -= torch.bmm(p[..., :start].mT, weights)
            o = torch.bmm(p, x[:, :end])
            if padded is not None:  # a padded row is that of I, whatever the gate
                o = o.masked_fill(padded[:, 0, start:end, None], 0.0)
            dg -= (w_rows * o).sum(dim=(1, 2), keepdim=True)
            shift = (w_rows * (y[:, start:end] - x[:, start:end])).sum(-1) - c[:, start:end]
            ds = torch.bmm(weights, x[:, :end].mT).neg_().add_(shift[..., None]).mul_(p)
            dq[:, start:end] += torch.bmm(ds, k[:, :end])
            dk[:, :end] += torch.bmm(ds.mT, q[:, start:end])
        return dq, dk, w, dg, None, None


def _gates_of_rows(g: Tensor, padded: Tensor | None, start: int, end: int) -> Tensor:
    """G of a block's rows, 0 where a row is padding: there the matrix is I."""
    return g if padded is None else g.masked_fill(padded[:, 0, start:end, None], 0.0)


def _solve_block(p: Tensor, g: Tensor, right: Tensor, *, transposed: bool = False) -> Tensor:
    """(I + g p)^-1, or its transpose, applied to one block of rows, (B H, b, d)."""
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
        x: (B, H, n, d). Its backward pass is in O(n * block) memory, too; a second
            derivative is ``solve_dense``'s.
        log_diagonal: ln P_ii, (B, H, n).
    """
    x, log_diagonal = _BlockSolve.apply(*flatten_heads(q, k, y, gate, mask), block)  # type: ignore[no-untyped-call]
    return x.view(y.shape), log_diagonal.view(q.shape[:-1])
