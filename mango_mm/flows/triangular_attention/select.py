"""The one function that chooses a kernel, by size; overridable everywhere."""

from __future__ import annotations

from torch import Tensor

from mango_mm.flows.triangular_attention.chunked import attend_chunked, solve_blocks
from mango_mm.flows.triangular_attention.reference import attend_dense

__all__ = ['DENSE_UP_TO', 'KERNELS', 'attend', 'choose', 'solve']

KERNELS = ('auto', 'dense', 'chunked')
DENSE_UP_TO = 256  # tokens; up to here one dense matrix is as fast as its blocks


def choose(num_tokens: int, kernel: str = 'auto') -> str:
    """The kernel that runs for ``num_tokens`` moved tokens.

    A fused kernel, where a device has one, gets its name in ``KERNELS`` and its
    condition here, and nowhere else.
    """
    if kernel not in KERNELS:
        raise ValueError(f'kernel must be one of {KERNELS}; got {kernel!r}.')
    if num_tokens == 0:
        return 'dense'  # nothing to cut into blocks
    if kernel != 'auto':
        return kernel
    return 'dense' if num_tokens <= DENSE_UP_TO else 'chunked'


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, kernel: str = 'auto'
) -> tuple[Tensor, Tensor]:
    """P v and ln P_ii: see :func:`~.reference.attend_dense`."""
    if choose(q.shape[-2], kernel) == 'dense':
        return attend_dense(q, k, v, mask)
    return attend_chunked(q, k, v, mask)


def solve(
    q: Tensor,
    k: Tensor,
    y: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    kernel: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """(I + g P)^-1 y and ln P_ii: see :func:`~.chunked.solve_blocks`."""
    n = q.shape[-2]
    if choose(n, kernel) == 'dense':
        return solve_blocks(q, k, y, gate, mask, block=max(n, 1))
    return solve_blocks(q, k, y, gate, mask)
