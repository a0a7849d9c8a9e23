"""The one place that chooses a kernel: by size, device and dtype; overridable everywhere.

kernel    apply I + g P       its inverse                                memory
dense     one n x n matrix    one triangular solve                       O(n^2)
chunked   blocks of rows      substitution, block by block               O(n b)
fused     flash attention     substitution, on CUDA fixed-point sweeps   O(n d), O(n b)
"""

from __future__ import annotations

import torch
from torch import Tensor

from mango_mm.flows.tracing import is_transformed
from mango_mm.flows.triangular_attention.chunked import mix_chunked
from mango_mm.flows.triangular_attention.flash import KERNELS as FLASH
from mango_mm.flows.triangular_attention.fused import mix_fused, require_mild
from mango_mm.flows.triangular_attention.probe import is_trusted
from mango_mm.flows.triangular_attention.reference import mix_dense, solve_dense
from mango_mm.flows.triangular_attention.substitution import solve_blocks
from mango_mm.flows.triangular_attention.sweep import num_sweeps, solve_sweeps

__all__ = ['DENSE_UP_TO', 'KERNELS', 'choose', 'choose_inverse', 'mix', 'solve']

KERNELS = ('auto', 'dense', 'chunked', 'fused')
DENSE_UP_TO = 256  # tokens; without a fused kernel, one dense matrix is as fast up to here,
# and with one where the rows of P are no longer than those of x: flash then saves nothing
DENSE_SOLVE_UP_TO = 128  # tokens; up to here there is but one block to solve
SWEEPS_UP_TO = 8  # on CUDA; on a CPU a walk over blocks costs little more than one sweep


def choose(q: Tensor, x: Tensor, mask: Tensor | None = None, kernel: str = 'auto') -> str:
    """The kernel that applies I + g P to ``x``: ``'dense'``, ``'chunked'`` or ``'fused'``.

    Where the fused kernel is asked for and cannot be had, it is the chunked one. Under
    ``torch.func`` and forward-mode differentiation ``'auto'`` is the dense one.

    Raises:
        ValueError: If ``kernel`` is unknown, or has no derivative of the kind asked for.
        TypeError: If the tensors are not float32 or float64.
    """
    if q.dtype not in (torch.float32, torch.float64) or x.dtype != q.dtype:
        raise TypeError(
            'triangular attention computes in float32 or float64, all tensors alike; '
            f'got {q.dtype} queries and {x.dtype} values. ICA casts half precision itself.'
        )
    if kernel not in KERNELS:
        raise ValueError(f'kernel must be one of {KERNELS}; got {kernel!r}.')
    if kernel != 'dense' and is_transformed(q, x):
        if kernel != 'auto':
            raise ValueError(
                "torch.func and forward-mode differentiation need kernel='dense' (or 'auto', which "
                f'takes it); got {kernel!r}.'
            )
        return 'dense'
    n = q.shape[-2]
    if n == 0:
        return 'dense'  # nothing to cut into blocks
    if kernel in ('dense', 'chunked'):
        return kernel
    small = kernel == 'auto' and n <= DENSE_UP_TO
    place = q.device.type, q.dtype
    if small and n <= x.shape[-1] and place[0] == 'cpu':
        return 'dense'
    if is_trusted(*place) and FLASH[place].fits(q, x, mask):
        return 'fused'
    return 'dense' if small else 'chunked'


def choose_inverse(
    q: Tensor, y: Tensor, mask: Tensor | None = None, kernel: str = 'auto', bound: float = 1.0
) -> str:
    """What solves for |g| <= ``bound``: ``'dense'``, ``'substitution'`` or ``'sweep'``."""
    chosen = choose(q, y, mask, kernel)
    if chosen == 'fused' and q.device.type == 'cuda' and not torch.is_grad_enabled():
        sweeps = num_sweeps(bound, q.dtype)
        if sweeps is not None and sweeps <= SWEEPS_UP_TO:
            return 'sweep'
    if chosen == 'dense' or (kernel == 'auto' and q.shape[-2] <= DENSE_SOLVE_UP_TO):
        return 'dense'
    return 'substitution'


def mix(
    q: Tensor,
    k: Tensor,
    x: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    kernel: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """(I + g P) x and ln P_ii: see :func:`~.reference.mix_dense`.

    Padded tokens come out as they went in, whatever they hold; their P_ii is 0.
    """
    chosen = choose(q, x, mask, kernel)
    function = {'dense': mix_dense, 'chunked': mix_chunked, 'fused': mix_fused}[chosen]
    if mask is None:
        return function(q, k, x, gate)
    y, log_diagonal = function(q, k, _blank(x, mask), gate, mask)
    return _restore(y, x, mask), _blank_rows(log_diagonal, mask)


def solve(
    q: Tensor,
    k: Tensor,
    y: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    kernel: str = 'auto',
    bound: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(I + g P)^-1 y and ln P_ii; the inverse of :func:`mix`.

    Args:
        q: Queries, scaled, (B, H, n, d).
        k: Keys, (B, H, n, d).
        y: Right-hand side, (B, H, n, e).
        gate: g of every head, (H,).
        mask: True where a token is real, (B, n).
        kernel: One of ``KERNELS``.
        bound: What |g| is known not to exceed; below 1 it allows fixed-point sweeps.

    Returns:
        x: (B, H, n, e).
        log_diagonal: (B, H, n).
    """
    chosen = choose_inverse(q, y, mask, kernel, bound)
    right = y if mask is None else _blank(y, mask)
    if chosen == 'dense':
        x, log_diagonal = solve_dense(q, k, right, gate, mask)
    elif chosen == 'sweep':
        sweeps = num_sweeps(bound, q.dtype) or 0
        flash = FLASH[q.device.type, q.dtype]
        require_mild(q, k)
        x, log_diagonal = solve_sweeps(q, k, right, gate, mask, kernel=flash, sweeps=sweeps)
    else:
        x, log_diagonal = solve_blocks(q, k, right, gate, mask)
    if mask is None:
        return x, log_diagonal
    return _restore(x, y, mask), _blank_rows(log_diagonal, mask)


def _blank(x: Tensor, mask: Tensor) -> Tensor:
    # where, not a product: padding may hold anything, NaN included.
    return torch.where(mask[:, None, :, None], x, 0.0)


def _blank_rows(log_diagonal: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask[:, None, :], log_diagonal, float('-inf'))


def _restore(mapped: Tensor, original: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask[:, None, :, None], mapped, original)
