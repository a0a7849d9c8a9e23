"""Which tokens made the prediction? Two answers that add up.

Integrated gradients, from absent tokens (zeros, as ``FusionNeck`` has them) to those there are:

    c_i = sum over channels of x_i * int_0^1 ds/dx_i (t x) dt,   sum_i c_i = s(x) - s(0)

for any score s and any fusion; what the quadrature leaves over is returned with them.

Push-forwards, for a flow z = G(x): with the Jacobian J at x and x_m the tokens of modality m,
zeros elsewhere,

    v_m = J x_m      where in the fused tokens modality m arrives, and how strongly,
    a_m = g * v_m    with g = ds/dz: what it does there to the score; summed it is g^T J x_m.

J x_m is an exact Jacobian-vector product (forward-mode differentiation through the bijection),
one pass per modality, and sum_m v_m = J x. Because G is a bijection nothing of x_m is lost on the
way: J has full rank.

Source: Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017,
https://arxiv.org/abs/1703.01365 (completeness); the push-forward is differential geometry's.

Shape letters: B batch, N tokens, D channels, M modalities.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

from mango_mm.flows import Bijection, InvertibleCrossAttention

__all__ = ['integrated_gradients', 'push_forward']


def integrated_gradients(
    score: Callable[[Mapping[str, Tensor]], Tensor], tokens: Mapping[str, Tensor], steps: int = 16
) -> tuple[dict[str, Tensor], Tensor]:
    """What every token contributed to a score.

    Args:
        score: From tokens as given here to one number per sample, (B,), differentiable.
        tokens: (B, N_m, D_m) each, under any names.
        steps: Points of the midpoint rule.

    Returns:
        contributions: (B, N_m) each.
        rest: s(x) - s(0) minus all contributions, (B,): the error of the quadrature.

    Raises:
        ValueError: If ``steps`` is not positive.
    """
    if steps < 1:
        raise ValueError(f'steps must be positive; got {steps}.')
    sums = {name: torch.zeros_like(x) for name, x in tokens.items()}
    for k in range(steps):
        at = {n: ((k + 0.5) / steps * x.detach()).requires_grad_() for n, x in tokens.items()}
        with torch.enable_grad():
            total = score(at).sum()
            found = torch.autograd.grad(total, list(at.values()), allow_unused=True)
        for name, gradient in zip(at, found):
            if gradient is not None:
                sums[name] += gradient / steps
    contributions = {n: (x.detach() * sums[n]).sum(dim=2) for n, x in tokens.items()}
    with torch.no_grad():
        whole = score(tokens) - score({n: torch.zeros_like(x) for n, x in tokens.items()})
    return contributions, whole - torch.stack([c.sum(1) for c in contributions.values()]).sum(0)


def push_forward(
    flow: Bijection, x: Tensor, lengths: Sequence[int], mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Where each modality's tokens go: J x_m at x, exactly.

    Args:
        flow: The bijection G.
        x: Tokens [modality 1, modality 2, ...], (B, N, D).
        lengths: Tokens of each modality, summing to N.
        mask: Real tokens, (B, N).

    Returns:
        z: G(x), (B, N, D).
        tangents: J x_m, (M, B, N, D).
    """
    tangents = []
    with _dense(flow), _plain_attention(), torch.no_grad():
        for index in range(len(lengths)):
            parts = [
                part if i == index else torch.zeros_like(part)
                for i, part in enumerate(x.split(list(lengths), dim=1))
            ]
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(x, torch.cat(parts, dim=1))
                z, tangent = forward_ad.unpack_dual(flow(dual, mask=mask)[0])
            tangents.append(torch.zeros_like(x) if tangent is None else tangent)
    return z, torch.stack(tangents)


@contextlib.contextmanager
def _dense(flow: Bijection) -> Iterator[None]:
    """The kernel that knows forward mode, for a while."""
    layers = [m for m in flow.modules() if isinstance(m, InvertibleCrossAttention)]
    before = [layer.kernel for layer in layers]
    try:
        for layer in layers:
            layer.kernel = 'dense'
        yield
    finally:
        for layer, kernel in zip(layers, before):
            layer.kernel = kernel


def _plain_attention() -> Any:
    """The attention that knows forward mode: the flash kernels do not."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:  # before torch 2.3
        return torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False)
    return sdpa_kernel(SDPBackend.MATH)
