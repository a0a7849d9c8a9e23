"""Triangular systems by products of matrices, for runtimes that cannot solve (ONNX).

    (I + S)^-1 = (I - S) (I + S^2) (I + S^4) ...     S strictly triangular, S^n = 0

which is exact after log2(n) squarings. It costs O(n^3 log n) where substitution costs O(n^2)
per column, and powers of S overflow where substitution does not: nothing that trains uses it.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ['solve_by_products']


def solve_by_products(
    matrix: Tensor,
    right: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """``torch.linalg.solve_triangular`` by products of matrices alone.

    Args:
        matrix: (..., n, n); only its triangle is read.
        right: (..., n, k).
        upper: Which triangle.
        left: ``matrix @ x = right``; else ``x @ matrix = right``.
        unitriangular: Take the diagonal for ones.

    Returns:
        x, of the shape of ``right``.
    """
    if not left:
        flipped = solve_by_products(
            matrix.mT, right.mT, upper=not upper, unitriangular=unitriangular
        )
        return flipped.mT
    strict = matrix.triu(1) if upper else matrix.tril(-1)
    if not unitriangular:
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)[..., None]
        strict, right = strict / diagonal, right / diagonal
    power, reached, size = -strict, 1, matrix.shape[-1]
    while reached < size:
        right = right + power @ right
        reached *= 2
        if reached < size:
            power = power @ power
    return right
