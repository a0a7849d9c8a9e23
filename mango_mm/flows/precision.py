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
from torch import Tensor

__all__ = ['float32_island']

Layer = TypeVar('Layer')
Mapped = tuple[Tensor, Tensor]


def float32_island(method: Callable[..., Mapped]) -> Callable[..., Mapped]:
    """Run a ``forward`` or ``inverse`` without autocast, on float32 or float64 tokens."""

    @functools.wraps(method)
    def inside(self: Layer, x: Tensor, *, mask: Tensor | None = None) -> Mapped:
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        with torch.autocast(device_type=x.device.type, enabled=False):
            return method(self, x, mask=mask)

    return inside
