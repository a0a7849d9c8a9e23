"""Who is looking: torch.compile, torch.func, forward-mode differentiation?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ['constant_in_traces', 'is_compiling', 'is_transformed']

Function = TypeVar('Function', bound=Callable[..., Any])


def constant_in_traces(function: Function) -> Function:
    """Mark ``function`` as ``torch.compiler.assume_constant_result`` does.

    That one imports all of ``torch._dynamo`` to set this attribute, which was 1.7 of the 4.3
    seconds that ``import mango_mm.fusion`` took.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def is_compiling() -> bool:
    """Whether the call is being traced, so that nothing may depend on a tensor's numbers."""
    if hasattr(torch.compiler, 'is_compiling'):
        return bool(torch.compiler.is_compiling())
    from torch._dynamo import is_compiling as asked  # torch 2.1

    return bool(asked())


def is_transformed(*tensors: Tensor) -> bool:
    """Whether ``torch.func`` or forward-mode differentiation acts on one of ``tensors``.

    Backward passes written by hand (``autograd.Function``) know neither, so that they step aside.
    """
    if is_compiling():
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    if forward_ad._current_level < 0:
        return False
    return any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)
