"""The flash kernels that torch carries, one per device and precision, under one face.

They compute o = P x and the log-sum-exp l without an n x n matrix, and are what
``F.scaled_dot_product_attention`` calls; but that returns no l. These operators are
private and may change: nobody calls one of them before ``probe`` has compared it with
the dense definition on this very device.

    device  dtype             operator
    cpu     float32, float64  _scaled_dot_product_flash_attention_for_cpu
    cuda    float32           _scaled_dot_product_efficient_attention (no padding mask)

The CUDA operator was written from its signature; on an H200 with torch 2.11 it passes the
probe (5e-7, docs/performance.md). Where it is not what it says, the probe keeps it out and the
chunked kernel runs.
"""

from __future__ import annotations

import abc
from typing import Any

import torch
from torch import Tensor

__all__ = ['KERNELS', 'FlashKernel']


class FlashKernel(abc.ABC):
    """Attention that returns its log-sum-exp, and the backward pass of its output."""

    takes_mask = True  # whether padded keys can be hidden

    @abc.abstractmethod
    def forward(
        self, q: Tensor, k: Tensor, x: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
        """O and l of causal attention: row i sees the columns up to i.

        Args:
            q: Queries, scaled, (B, H, n, d).
            k: Keys, (B, H, n, d).
            x: Values, (B, H, n, d).
            bias: Added to all scores of a key, (B, 1, 1, n), or None.

        Returns:
            o: (B, H, n, d).
            lse: (B, H, n).
            rest: What the backward pass wants besides.
        """

    @abc.abstractmethod
    def backward(
        self,
        do: Tensor,
        q: Tensor,
        k: Tensor,
        x: Tensor,
        bias: Tensor | None,
        o: Tensor,
        lse: Tensor,
        rest: tuple[Any, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(dq, dk, dx) of causal attention for the gradient ``do`` of o."""

    def fits(self, q: Tensor, x: Tensor, mask: Tensor | None) -> bool:
        """Whether the kernel takes tensors of these shapes."""
        return q.shape[-1] == x.shape[-1] and (mask is None or self.takes_mask)


class _CpuFlash(FlashKernel):
    def forward(
        self, q: Tensor, k: Tensor, x: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
        o, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, x, 0.0, True, attn_mask=bias, scale=1.0
        )
        return o, lse, ()

    def backward(
        self,
        do: Tensor,
        q: Tensor,
        k: Tensor,
        x: Tensor,
        bias: Tensor | None,
        o: Tensor,
        lse: Tensor,
        rest: tuple[Any, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        dq, dk, dx = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            do, q, k, x, o, lse, 0.0, True, attn_mask=bias, scale=1.0
        )
        return dq, dk, dx


class _CudaEfficient(FlashKernel):
    takes_mask = False  # its bias must be aligned to 16 bytes in every row

    def forward(
        self, q: Tensor, k: Tensor, x: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
        o, lse, *rest = torch.ops.aten._scaled_dot_product_efficient_attention(
            q, k, x, bias, True, 0.0, True, scale=1.0
        )
        # The rows of l are padded to a multiple of 32; the backward wants them so.
        return o, lse[..., : q.shape[-2]], (lse, *rest)

    def backward(
        self,
        do: Tensor,
        q: Tensor,
        k: Tensor,
        x: Tensor,
        bias: Tensor | None,
        o: Tensor,
        lse: Tensor,
        rest: tuple[Any, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        padded_lse, seed, offset = rest
        dq, dk, dx, _ = torch.ops.aten._scaled_dot_product_efficient_attention_backward(
            do, q, k, x, bias, o, padded_lse, seed, offset, 0.0,
            [True, True, True, False], True, scale=1.0,
        )  # fmt: skip
        return dq, dk, dx

    def fits(self, q: Tensor, x: Tensor, mask: Tensor | None) -> bool:
        return super().fits(q, x, mask) and q.shape[-1] % 8 == 0


KERNELS: dict[tuple[str, torch.dtype], FlashKernel] = {
    ('cpu', torch.float32): _CpuFlash(),
    ('cpu', torch.float64): _CpuFlash(),
    ('cuda', torch.float32): _CudaEfficient(),
}
