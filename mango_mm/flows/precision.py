"""Exact arithmetic for invertible layers, whatever autocast says.

A half-precision conditioner is piecewise constant: a perturbation of 1e-7 flips
a rounding, and the inverse then divides by another matrix than the forward
multiplied with (errors of 1e-4 to 5e-3 after 96 layers, where float32 gives
1e-6). So every bijection computes in float32 at least.
"""

from __future__ import annotations

import functools
from typing import Callable, TypeVar

import torch
from torch import Tensor, nn

from mango_mm.flows.tracing import is_compiling

__all__ = ['float32_island']

Layer = TypeVar('Layer', bound=nn.Module)
Mapped = tuple[Tensor, Tensor]


def float32_island(method: Callable[..., Mapped]) -> Callable[..., Mapped]:
    """Run a ``forward`` or ``inverse`` without autocast, on float32 or float64 tokens.

    Raises:
        ValueError: If the tokens are not (B, N, D), or the mask is not bool (B, N).
        TypeError: If the tokens are not of the layer's precision.
    """

    @functools.wraps(method)
    def inside(self: Layer, x: Tensor, *, mask: Tensor | None = None) -> Mapped:
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        if not is_compiling():
            _check(self, x, mask)
        with torch.autocast(device_type=x.device.type, enabled=False):
            return method(self, x, mask=mask)

    return inside


def _check(layer: nn.Module, x: Tensor, mask: Tensor | None) -> None:
    """One error for what every layer would stumble over in another way."""
    name = type(layer).__name__
    if x.dim() != 3:
        raise ValueError(f'{name} maps tokens (B, N, D); got {tuple(x.shape)}.')
    if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
        raise ValueError(
            f'{name} needs a bool mask {tuple(x.shape[:2])} for tokens {tuple(x.shape)}; '
            f'got {mask.dtype} {tuple(mask.shape)}.'
        )
    own = next(layer.parameters(), None)
    if own is not None and x.dtype != own.dtype and own.is_floating_point():
        raise TypeError(
            f'{name} is in {own.dtype} and maps tokens of that type (half precision is cast); got '
            f'{x.dtype}. Call .to({own.dtype}) on the tokens, or .to({x.dtype}) on the layer.'
        )
