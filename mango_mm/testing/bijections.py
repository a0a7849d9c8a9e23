"""Is it a bijection, and is its log-determinant that of its Jacobian?"""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from mango_mm.flows import Bijection

__all__ = ['assert_is_bijection', 'jacobian_log_det']


def jacobian_log_det(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """ln|det dy/dx| of one sample by autograd, brute force.

    Args:
        function: Maps (1, N, D) to (1, N, D).
        x: One sample, (N, D); float64, and small.
    """
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: function(flat.view(1, *x.shape)).flatten(), x.flatten()
    )
    # One small matrix at a time: batched LU hung in oneMKL on some machines.
    return torch.linalg.slogdet(jacobian).logabsdet


def assert_is_bijection(
    bijection: Bijection, x: Tensor, *, mask: Tensor | None = None, tolerance: float = 1e-8
) -> None:
    """Raise unless a layer keeps the contract of ``Bijection`` on these tokens.

    Args:
        bijection: The layer, in float64.
        x: Tokens, (B, N, D), float64; B, N and D best all different.
        mask: Real tokens, (B, N).
        tolerance: Absolute, of tokens and log-determinants.

    Raises:
        AssertionError: Saying which fact does not hold.
    """
    same = {'rtol': 0.0, 'atol': tolerance}
    with torch.no_grad():
        y, log_det = bijection(x, mask=mask)
        again, back = bijection.inverse(y, mask=mask)
    if y.shape != x.shape or log_det.shape != x.shape[:1]:
        raise AssertionError(
            f'forward must return {tuple(x.shape)} and ({x.shape[0]},); '
            f'got {tuple(y.shape)} and {tuple(log_det.shape)}.'
        )
    torch.testing.assert_close(again, x, **same, msg=lambda m: f'inverse(forward(x)) != x: {m}')
    torch.testing.assert_close(
        back, -log_det, **same, msg=lambda m: f'log_det of inverse is not minus forward: {m}'
    )
    for i, (one, claimed) in enumerate(zip(x, log_det)):
        own = None if mask is None else mask[i : i + 1]

        def alone(t: Tensor, own: Tensor | None = own) -> Tensor:
            return bijection(t, mask=own)[0]

        torch.testing.assert_close(
            claimed,
            jacobian_log_det(alone, one),
            **same,
            msg=lambda m: f'log_det is not that of the Jacobian: {m}',
        )
