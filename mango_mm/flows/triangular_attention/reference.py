"""Triangular attention by its definition: one dense n x n matrix per head.

    s_ij = q_i . k_j           for j <= i, and -inf above the diagonal
    l_i  = logsumexp_j s_ij,   P_ij = exp(s_ij - l_i)
    y    = (I + g P) x,        ln P_ii = s_ii - l_i

All kernels here are lower triangular, as causal attention is: a token sees itself and
those before it. ICA hands its tokens over from last to first, which makes it the
paper's upper triangle.

The diagonal stays in the log domain: in float32 ``softmax`` underflows to 0 at
logits a LayerNorm easily reaches, and its logarithm to -inf, where s_ii - l_i is
an ordinary number.

A padded token is invisible to all others, and sees itself, so that its row stays
finite. ``select`` blanks the values of padded tokens before a kernel sees them, and
ignores their rows.

Shape letters: B batch, H heads, n tokens, d channels of a head, e of a value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ['NEGLIGIBLE', 'flush_', 'hide', 'mix_dense', 'solve_dense', 'triangle']

# Below this a probability is nothing to its row's sum of 1, and a product of two such
# would be a denormal number; those make a triangular solve on a CPU 38 times slower.
NEGLIGIBLE = {torch.float32: 1e-17, torch.float64: 1e-140}


def triangle(size: int, like: Tensor) -> Tensor:
    """What hides later columns when added to scores: 0 up to the diagonal, -inf above it."""
    return like.new_full((size, size), float('-inf')).triu(1)


def hide(scores: Tensor, first_row: int, above: Tensor, padded: Tensor | None) -> Tensor:
    """Scores of rows first_row.. against columns 0.., invisible ones set to -inf in place.

    Args:
        scores: (..., rows, first_row + rows).
        first_row: Position of the token of row 0.
        above: :func:`triangle` of at least that many rows.
        padded: True at padded tokens, (..., 1, at least all columns), or None.

    Returns:
        ``scores``; every row keeps its own diagonal.
    """
    rows, columns = scores.shape[-2:]
    scores[..., first_row:].add_(above[:rows, :rows])
    if padded is not None:
        itself = torch.eye(rows, dtype=torch.bool, device=scores.device)
        own = padded[..., first_row:columns] & ~itself
        scores[..., first_row:].masked_fill_(own, float('-inf'))
        scores[..., :first_row].masked_fill_(padded[..., :first_row], float('-inf'))
    return scores


def _log_probabilities(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    padded = None if mask is None else ~mask[:, None, None, :]
    return hide(q @ k.mT, 0, triangle(q.shape[-2], q), padded).log_softmax(-1)


def mix_dense(
    q: Tensor, k: Tensor, x: Tensor, gate: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Apply I + g P.

    Args:
        q: Queries, scaled, (B, H, n, d).
        k: Keys, (B, H, n, d).
        x: Values, (B, H, n, e), finite.
        gate: g of every head, (H,).
        mask: True where a token is real, (B, n).

    Returns:
        y: (I + g P) x, (B, H, n, e).
        log_diagonal: ln P_ii, (B, H, n), never -inf.
    """
    log_p = _log_probabilities(q, k, mask)
    y = x + gate[:, None, None] * (log_p.exp() @ x)
    return y, log_p.diagonal(dim1=-2, dim2=-1)


def solve_dense(
    q: Tensor, k: Tensor, y: Tensor, gate: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Solve (I + g P) x = y; the inverse of :func:`mix_dense`, with its log diagonal."""
    log_p = _log_probabilities(q, k, mask)
    log_diagonal = log_p.diagonal(dim1=-2, dim2=-1)
    matrix = gate[:, None, None] * flush_(log_p.clone()).exp()
    if mask is not None:
        matrix = matrix * mask[:, None, :, None]
    matrix = matrix + torch.eye(q.shape[-2], dtype=y.dtype, device=y.device)
    return torch.linalg.solve_triangular(matrix, y, upper=False), log_diagonal


def flush_(log_p: Tensor) -> Tensor:
    """ln p in place, -inf where p is negligible."""
    return torch.threshold_(log_p, math.log(NEGLIGIBLE[log_p.dtype]), float('-inf'))
