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

Shape letters: B batch, H heads, n tokens, d channels of a head, e of a value; inside, heads
are samples of the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mango_mm.flows.triangular_attention.reference import flush_, hide, triangle

__all__ = ['BLOCK', 'exponentials', 'flatten_heads', 'mix_chunked']

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


def flatten_heads(
    q: Tensor, k: Tensor, x: Tensor, gate: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Heads as samples: (B H, n, d) three times, gates (B H, 1, 1), padding (B H, 1, n).

    Blocks of rows of these are slices; of (B, H, n, d) every block would be a copy.
    """
    batch, heads = q.shape[:2]
    gates = gate.repeat(batch)[:, None, None]
    padded = None if mask is None else ~mask.repeat_interleave(heads, 0)[:, None, :]
    return q.flatten(0, 1), k.flatten(0, 1), x.flatten(0, 1), gates, padded


class _ChunkedMix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, x: Tensor, g: Tensor, padded: Tensor | None, block: int
    ) -> tuple[Tensor, Tensor]:
        n, above = q.shape[-2], triangle(block, q)
        outputs, lses = [], []
        for start in range(0, n, block):
            end = min(start + block, n)
            scores = hide(torch.bmm(q[:, start:end], k[:, :end].mT), start, above, padded)
            weights, total, lse = exponentials(scores)
            outputs.append(torch.bmm(weights, x[:, :end]).div_(total[..., None]))
            lses.append(lse)
        o, lse = torch.cat(outputs, -2), torch.cat(lses, -1)
        ctx.save_for_backward(q, k, x, g, o, lse, padded)
        ctx.block = block
        return torch.addcmul(x, o, g), (q * k).sum(-1) - lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, g, o, lse, padded = ctx.saved_tensors
        above = triangle(ctx.block, q)
        do = dy * g
        dg = (dy * o).sum(dim=(1, 2), keepdim=True)
        shift = -c - (do * o).sum(-1)
        dq, dk, dx = c[..., None] * k, c[..., None] * q, dy.clone()
        for start in range(0, q.shape[-2], ctx.block):
            end = min(start + ctx.block, q.shape[-2])
            q_rows, do_rows = q[:, start:end], do[:, start:end]
            scores = hide(torch.bmm(q_rows, k[:, :end].mT), start, above, padded)
            p = scores.sub_(lse[:, start:end, None]).exp_()
            dx[:, :end] += torch.bmm(p.mT, do_rows)
            ds = torch.bmm(do_rows, x[:, :end].mT).add_(shift[:, start:end, None]).mul_(p)
            dq[:, start:end] += torch.bmm(ds, k[:, :end])
            dk[:, :end] += torch.bmm(ds.mT, q_rows)
        return dq, dk, dx, dg, None, None


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
    y, log_diagonal = _ChunkedMix.apply(*flatten_heads(q, k, x, gate, mask), block)  # type: ignore[no-untyped-call]
    return y.view(x.shape), log_diagonal.view(q.shape[:-1])
