"""I + g P at the speed of flash attention, the log-determinant's gradient included.

A flash backward pass computes dS_ij = P_ij (do_i . x_j - delta_i) and knows nothing of
a gradient c_i that comes in through ln P_ii = s_ii - l_i. But it takes delta_i from its
inputs, as the row sum of do * o, and what is wanted is delta_i + c_i. So one number per
row of o is changed, in channel 0:

    o'_i0 = o_i0 + c_i / do_i0     =>   sum_e do_ie o'_ie = delta_i + c_i

Nothing else in the pass reads o. Where do_i0 is zero or tiny against c_i, it is first
moved away from zero by 1e-30 |c_i|, which changes the result by as much: far below
rounding. The prototype of this idea pads every tensor with a column for c instead;
that copies five tensors and makes rows of d + 1.

Source:
    Dao et al., FlashAttention, https://arxiv.org/abs/2205.14135, Algorithm 4.

Shape letters: B batch, H heads, n tokens, d channels of a head.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from mango_mm.flows.tracing import is_compiling
from mango_mm.flows.triangular_attention.chunked import mix_chunked
from mango_mm.flows.triangular_attention.flash import KERNELS, FlashKernel
from mango_mm.flows.triangular_attention.reference import mix_dense
from mango_mm.flows.triangular_attention.transforms import backward_twice, wants_graph

__all__ = ['fold_into_delta', 'is_sharp', 'key_bias', 'mix_fused', 'require_mild']

# What rounding may do to ln P_ii, relative to 1: logits of 512 in float32.
ROUNDING = 2.0**-14
HIDDEN = -1e9  # added to the scores of padded keys; finite, so that no row is empty


def fold_into_delta(do: Tensor, o: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """``do`` and ``o`` with a row sum of do * o that is larger by ``c``.

    Args:
        do: Gradient of o, (B, H, n, d); changed in place.
        o: (B, H, n, d); left alone.
        c: (B, H, n).

    Returns:
        ``do`` and a changed copy of ``o``.
    """
    first = do[..., 0]
    # The smallest normal number stands in where 1e-30 |c| would underflow.
    away = 1e-30 * c.abs() + torch.finfo(do.dtype).tiny
    nothing = c == 0
    first.add_(torch.copysign(away, first).masked_fill_(nothing, 0.0))
    o = o.clone()
    o[..., 0].add_((c / first).masked_fill_(nothing, 0.0))
    return do, o


def key_bias(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What hides padded keys, (B, 1, 1, n)."""
    if mask is None:
        return None
    hidden = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, HIDDEN)
    return hidden[:, None, None, :]


class _FusedMix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        x: Tensor,
        gate: Tensor,
        mask: Tensor | None,
        kernel: FlashKernel,
    ) -> tuple[Tensor, Tensor]:
        bias = key_bias(mask, q.dtype)
        o, lse, rest = kernel.forward(q, k, x, bias)
        ctx.save_for_backward(q, k, x, gate, o, lse, bias, *rest)
        ctx.kernel, ctx.mask = kernel, mask
        # Not in place: torch.compile silently drops the gradient of an output made so.
        return torch.addcmul(x, o, gate[:, None, None]), ((q * k).sum(-1) - lse).clamp(max=0)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        q, k, x, gate, o, lse, bias, *rest = ctx.saved_tensors
        if wants_graph():
            dense, needed = functools.partial(mix_dense, mask=ctx.mask), ctx.needs_input_grad[:4]
            return (*backward_twice(dense, (q, k, x, gate), needed, (dy, c)), None, None)
        dgate = (dy * o).sum(dim=(0, 2, 3)) if ctx.needs_input_grad[3] else None
        do, o = fold_into_delta(dy * gate[:, None, None], o, c)
        dq, dk, dx = ctx.kernel.backward(do, q, k, x, bias, o, lse, tuple(rest))
        c = c[..., None]
        return dq.addcmul_(c, k), dk.addcmul_(c, q), dx.add_(dy), dgate, None, None


def is_sharp(q: Tensor, k: Tensor) -> bool:
    """Whether logits are so large that their rounding shows in ln P_ii.

    The kernel's l_i and our s_ii are rounded each in its own order, by about eps * sum |q k|; a
    row whose own key wins by thousands then loses or gains whole nats.
    """
    if q.numel() == 0:
        return False
    limit = ROUNDING / torch.finfo(q.dtype).eps
    # Bounds from the largest entries cost next to nothing, and nearly always suffice.
    q, k = q.detach(), k.detach()
    largest = [torch.linalg.vector_norm(t, torch.inf) for t in (q, k)]
    if float(largest[0] * largest[1]) * q.shape[-1] <= limit:
        return False
    return bool((q * k).abs_().sum(-1).amax() > limit)


def require_mild(q: Tensor, k: Tensor) -> None:
    """Raise, without waiting for a device, where :func:`is_sharp` would say so."""
    limit = ROUNDING / torch.finfo(q.dtype).eps
    torch._assert_async(
        (q.detach() * k.detach()).abs().sum(-1).amax() <= limit,
        "attention is too sharp for this kernel's rounding on a GPU or in a compiled flow; take "
        "kernel='chunked'.",
    )


def mix_fused(
    q: Tensor, k: Tensor, x: Tensor, gate: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """:func:`~.reference.mix_dense` by the flash kernel of the tensors' device and dtype.

    Where attention is too sharp for the kernel's rounding (:func:`is_sharp`) the chunked kernel
    runs on a CPU; a GPU, which would have to be waited for, and a compiled graph, which cannot
    choose, end with an error there. A second derivative is the dense kernel's, in its memory.
    """
    kernel = KERNELS[q.device.type, q.dtype]
    if q.device.type != 'cpu' or is_compiling() or isinstance(q, FakeTensor):
        require_mild(q, k)
    elif is_sharp(q, k):
        return mix_chunked(q, k, x, gate, mask)
    return _FusedMix.apply(q, k, x, gate, mask, kernel)  # type: ignore[no-untyped-call]
