"""Which way of differentiating is going on, and what the kernels leave to ``dense``.

The chunked, the fused and the substituting kernel have a backward pass written by hand. It is a
number, not a graph: a second derivative through it would miss most of its terms and look like any
other tensor. So where one is asked for (``create_graph=True``), their backward pass is that of the
dense definition, which autograd differentiates as often as wanted, in O(n^2) memory. Under
``torch.func`` and forward-mode differentiation ``select`` takes the dense kernel from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mango_mm.flows.tracing import is_compiling

__all__ = ['backward_twice', 'wants_graph']


def wants_graph() -> bool:
    """Inside a backward pass: whether its result will be differentiated again."""
    # AOTAutograd traces backward passes with gradients on, and refuses second ones by itself.
    return torch.is_grad_enabled() and not is_compiling()


def backward_twice(
    definition: Callable[..., tuple[Tensor, Tensor]],
    inputs: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor],
) -> list[Tensor | None]:
    """Gradients of ``definition(*inputs)`` that can be differentiated again.

    Args:
        definition: Made of operations that autograd knows.
        inputs: What the kernel saved, with their graphs.
        needed: Which of them want a gradient.
        gradients: Of the two outputs.
    """
    wanted = [x for x, need in zip(inputs, needed) if need]
    with torch.enable_grad():
        outputs = definition(*inputs)
        found = iter(
            torch.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True)
        )
    return [next(found) if need else None for need in needed]
