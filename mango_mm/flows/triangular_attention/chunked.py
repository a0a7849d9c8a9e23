"""Triangular attention and its inverse in memory linear in the token count.

Rows are worked off in blocks of ``block``; a block of rows i0..i1 needs the
columns from i0 on, so no more than block x n scores exist at any time. The
backward pass recomputes them from the saved log-sum-exp l:

    dS_ij = P_ij (do_i . v_j - do_i . o_i + dl_i)

so that the gradient through l, which the log-determinant needs, costs nothing
more. The inverse is block back substitution from the last block to the first:

    x_b = (I + g P_bb)^-1 (y_b - g P_b> x_>)

Source:
    the recomputing backward is that of Dao et al., FlashAttention,
    https://arxiv.org/abs/2205.14135, Algorithm 4, extended by the term dl_i.

Shape letters: B batch, H heads, n tokens, d channels of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mango_mm.flows.triangular_attention.reference import hide

__all__ = ['attend_chunked', 'solve_blocks']

BLOCK = 128  # tokens; 64 to 256 measure alike on CPU, larger ones only cost memory


class _ChunkedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, block: int
    ) -> tuple[Tensor, Tensor]:
        n = q.shape[-2]
        outputs, lses = [], []
        for start in range(0, n, block):
            scores = hide(q[..., start : start + block, :] @ k[..., start:, :].mT, start, mask)
            lse = scores.logsumexp(-1)
            outputs.append(scores.sub_(lse[..., None]).exp_() @ v[..., start:, :])
            lses.append(lse)
        o, lse = torch.cat(outputs, -2), torch.cat(lses, -1)
        ctx.save_for_backward(q, k, v, o, lse, mask)
        ctx.block = block
        return o, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor, dlse: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, o, lse, mask = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        shift = dlse - (do * o).sum(-1)
        for start in range(0, q.shape[-2], ctx.block):
            rows = slice(start, start + ctx.block)
            k_later, v_later = k[..., start:, :], v[..., start:, :]
            scores = hide(q[..., rows, :] @ k_later.mT, start, mask)
            p = scores.sub_(lse[..., rows, None]).exp_()
            dv[..., start:, :] += p.mT @ do[..., rows, :]
            ds = (do[..., rows, :] @ v_later.mT).add_(shift[..., rows, None]).mul_(p)
            dq[..., rows, :] = ds @ k_later
            dk[..., start:, :] += ds.mT @ q[..., rows, :]
        return dq, dk, dv, None, None


def attend_chunked(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, block: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """:func:`~.reference.attend_dense` in O(n * block) memory, backward included.

    The result is differentiable once; for second derivatives use the dense kernel.
    """
    o, lse = _ChunkedAttention.apply(q, k, v, mask, block)  # type: ignore[no-untyped-call]
    return o, (q * k).sum(-1) - lse


def solve_blocks(
    q: Tensor,
    k: Tensor,
    y: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """Solve (I + g P) x = y by block back substitution.

    Args:
        q: Queries, scaled, (B, H, n, d).
        k: Keys, (B, H, n, d).
        y: Right-hand side, (B, H, n, any).
        gate: g of every head, (H,).
        mask: True where a token is real, (B, n); rows of padded tokens are the identity's.
        block: Rows solved at a time.

    Returns:
        x: (B, H, n, any).
        log_diagonal: ln P_ii, (B, H, n).
    """
    n = q.shape[-2]
    g = gate[:, None, None]
    tiny = 1e-30 if y.dtype == torch.float32 else 1e-290
    x = y[..., n:, :]  # what is solved already, growing from the end
    log_diagonals: list[Tensor] = []
    for start in reversed(range(0, n, block)):
        rows = slice(start, min(start + block, n))
        b = rows.stop - start
        scores = hide(q[..., rows, :] @ k[..., start:, :].mT, start, mask)
        lse = scores.logsumexp(-1, keepdim=True)
        p = (scores - lse).exp()
        # Denormal probabilities make the CPU's solve up to 38 times slower.
        weighted = g * p.masked_fill(p < tiny, 0.0)
        if mask is not None:
            weighted = weighted * mask[:, None, rows, None]
        eye = torch.eye(b, dtype=y.dtype, device=y.device)
        right = y[..., rows, :] - weighted[..., b:] @ x
        solved = torch.linalg.solve_triangular(weighted[..., :b] + eye, right, upper=True)
        x = torch.cat([solved, x], dim=-2)
        log_diagonals.append(scores.diagonal(dim1=-2, dim2=-1) - lse[..., 0])
    if not log_diagonals:
        return y, y[..., 0]
    return x, torch.cat(log_diagonals[::-1], -1)
