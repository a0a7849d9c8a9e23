"""I + g P applied in memory linear in the token count, by public operations alone.

Rows are worked off in blocks of ``block``; rows i0..i1 need the columns up to i1, so
that no more than block x n scores exist at any time. The backward pass recomputes
them from the saved log-sum-exp l. With do = g dy the gradient of o = P x, and
c_i = d ln P_ii = -dl_i:

    dS_ij = P_ij (do_i . x_j - do_i . o_i - c_i)

so that the gradient through l, which the log-determinant needs, costs nothing more.

Source:
    the recomputing backward is that of Dao et al., FlashAttention,
    https://arxiv.org/abs/2205.14135, Algorithm 4, extended by the term c_i.

Shape letters: B batch, H heads, n tokens, d channels of a head, e of a value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mango_mm.flows.triangular_attention.reference import flush_, hide

__all__ = ['BLOCK', 'exponentials', 'mix_chunked']

BLOCK = 128  # tokens; 64 to 256 measure alike on CPU, larger ones only cost memory


def exponentials(scores: Tensor, *, flush: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """exp(s - max s) of every row, in place, their sums, and the rows' log-sum-exp.

    One exponential per score: dividing by the sum is left to where it is cheapest.

    Args:
        scores: (..., rows, columns); overwritten.
        flush: Set weights below ``reference.NEGLIGIBLE`` to zero.
    """
    top = scores.amax(-1, keepdim=True)
    scores.sub_(top)
    if flush:
        flush_(scores)
    total = scores.exp_().sum(-1)
    return scores, total, total.log().add_(top[..., 0])


class _ChunkedMix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, x: Tensor, gate: Tensor, mask: Tensor | None, block: int
    ) -> tuple[Tensor, Tensor]:
        n = q.shape[-2]
        outputs, lses = [], []
        for start in range(0, n, block):
            end = min(start + block, n)
            scores = hide(q[..., start:end, :] @ k[..., :end, :].mT, start, mask)
            weights, total, lse = exponentials(scores)
            outputs.append((weights @ x[..., :end, :]).div_(total[..., None]))
            lses.append(lse)
        o, lse = torch.cat(outputs, -2), torch.cat(lses, -1)
        ctx.save_for_backward(q, k, x, gate, o, lse, mask)
        ctx.block = block
        return torch.addcmul(x, o, gate[:, None, None]), (q * k).sum(-1) - lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, gate, o, lse, mask = ctx.saved_tensors
        do = dy * gate[:, None, None]
        dgate = (dy * o).sum(dim=(0, 2, 3))
        shift = -c - (do * o).sum(-1)
        dq, dk, dx = c[..., None] * k, c[..., None] * q, dy.clone()
        for start in range(0, q.shape[-2], ctx.block):
            rows = slice(start, min(start + ctx.block, q.shape[-2]))
            k_seen, x_seen = k[..., : rows.stop, :], x[..., : rows.stop, :]
            scores = hide(q[..., rows, :] @ k_seen.mT, start, mask)
            p = scores.sub_(lse[..., rows, None]).exp_()
            dx[..., : rows.stop, :] += p.mT @ do[..., rows, :]
            ds = (do[..., rows, :] @ x_seen.mT).add_(shift[..., rows, None]).mul_(p)
            dq[..., rows, :] += ds @ k_seen
            dk[..., : rows.stop, :] += ds.mT @ q[..., rows, :]
        return dq, dk, dx, dgate, None, None


def mix_chunked(
    q: Tensor,
    k: Tensor,
    x: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """:func:`~.reference.mix_dense` in O(n * block) memory, backward included.

    The result is differentiable once; for second derivatives use the dense kernel.
    """
    return _ChunkedMix.apply(q, k, x, gate, mask, block)  # type: ignore[no-untyped-call]
