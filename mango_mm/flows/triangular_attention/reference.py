"""Triangular attention by its definition: one dense n x n matrix per head.

    s_ij = q_i . k_j           for j >= i, and -inf below the diagonal
    l_i  = logsumexp_j s_ij,   P_ij = exp(s_ij - l_i)
    o    = P v,                ln P_ii = s_ii - l_i

The diagonal stays in the log domain: in float32 ``softmax`` underflows to 0 at
logits a LayerNorm easily reaches, and its logarithm to -inf, where s_ii - l_i is
an ordinary number.

A padded token is invisible to all others, and sees itself alone, so that its row
stays finite; the caller ignores that row.

Shape letters: B batch, H heads, n tokens, d channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['attend_dense', 'hide']


def hide(scores: Tensor, first_row: int, mask: Tensor | None) -> Tensor:
    """Scores of rows first_row.. against columns first_row.., invisible ones -inf.

    Args:
        scores: (B, H, rows, columns), where row 0 and column 0 are both token
            ``first_row``.
        first_row: That token's position.
        mask: Real tokens, bool (B, n), or None.

    Returns:
        The masked scores, same shape; every row keeps its own diagonal.
    """
    rows, columns = scores.shape[-2:]
    invisible = torch.ones(rows, columns, dtype=torch.bool, device=scores.device).tril(-1)
    if mask is not None:
        itself = torch.eye(rows, columns, dtype=torch.bool, device=scores.device)
        padded = ~mask[:, None, None, first_row : first_row + columns]
        invisible = invisible | (padded & ~itself)
    return scores.masked_fill(invisible, float('-inf'))


def attend_dense(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention over the tokens at and after each token.

    Args:
        q: Queries, scaled, (B, H, n, d).
        k: Keys, (B, H, n, d).
        v: Values, (B, H, n, any).
        mask: True where a token is real, (B, n).

    Returns:
        o: P v, (B, H, n, any).
        log_diagonal: ln P_ii, (B, H, n), never -inf.
    """
    log_p = hide(q @ k.mT, 0, mask).log_softmax(-1)
    return log_p.exp() @ v, log_p.diagonal(dim1=-2, dim2=-1)
