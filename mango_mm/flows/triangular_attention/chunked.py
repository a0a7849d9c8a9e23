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

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mango_mm.flows.triangular_attention.reference import flush_, hide, mix_dense, triangle
from mango_mm.flows.triangular_attention.transforms import backward_twice, wants_graph

__all__ = ['BLOCK', 'exponentials', 'flatten_heads', 'mix_chunked', 'of_samples', 'own_scores']

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


def own_scores(scores: Tensor, first_row: int) -> Tensor:
    """A copy of s_ii of a block's rows, (..., rows).

    Of these very scores: at logits of thousands a second product q_i . k_i is rounded otherwise,
    and ln P_ii = s_ii - l_i would be wrong by whole nats, above 0 even.
    """
    return scores.diagonal(first_row, -2, -1).clone()


def of_samples(
    definition: Callable[..., tuple[Tensor, Tensor]], padded: Tensor | None
) -> Callable[..., tuple[Tensor, Tensor]]:
    """``mix_dense`` or ``solve_dense`` for what :func:`flatten_heads` gives: one head each."""
    mask = None if padded is None else ~padded[:, 0]

    def flat(q: Tensor, k: Tensor, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        y, log_diagonal = definition(q[:, None], k[:, None], x[:, None], g[..., 0], mask)
        return y[:, 0], log_diagonal[:, 0]

    return flat


class _ChunkedMix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, x: Tensor, g: Tensor, padded: Tensor | None, block: int
    ) -> tuple[Tensor, Tensor]:
        n, above = q.shape[-2], triangle(block, q)
        outputs, lses, own = [], [], []
        for start in range(0, n, block):
            end = min(start + block, n)
            scores = hide(torch.bmm(q[:, start:end], k[:, :end].mT), start, above, padded)
            own.append(own_scores(scores, start))
            weights, total, lse = exponentials(scores)
            outputs.append(torch.bmm(weights, x[:, :end]).div_(total[..., None]))
            lses.append(lse)
        o, lse = torch.cat(outputs, -2), torch.cat(lses, -1)
        ctx.save_for_backward(q, k, x, g, o, lse, padded)
        ctx.block = block
        return torch.addcmul(x, o, g), torch.cat(own, -1) - lse

    @staticmethod
    def backward(ctx: Any, dy: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, g, o, lse, padded = ctx.saved_tensors
        if wants_graph():
            dense, needed = of_samples(mix_dense, padded), ctx.needs_input_grad[:4]
            return (*backward_twice(dense, (q, k, x, g), needed, (dy, c)), None, None)
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

    A second derivative is the dense kernel's, in its memory.
    """
    y, log_diagonal = _ChunkedMix.apply(*flatten_heads(q, k, x, gate, mask), block)  # type: ignore[no-untyped-call]
    return y.view(x.shape), log_diagonal.view(q.shape[:-1])
