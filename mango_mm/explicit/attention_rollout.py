"""How a flow mixes positions: the attention maps of ICA, composed over its layers.

Given what conditions it, an ICA layer is linear in the tokens it moves, and so is LICA:

    z = M_L ... M_1 x,   M = I + g P at the moved tokens of ICA, W^-1 M W of LICA

Couplings, ActNorm and 1 x 1 convolutions act at each position by itself and count as the
identity. So the product is exact for a flow of attention alone, and between couplings; in a flow
with couplings it says how positions are mixed, not what the channels make of it. The unmasked
attention in the conditioner of an attention coupling moves no token linearly and is not in it.

This is attention rollout (Abnar & Zuidema, ACL 2020, https://arxiv.org/abs/2005.00928) without
its approximations: the residual path is part of the layer, and nothing is renormalised.

Shape letters: B batch, N tokens, H heads, n moved tokens.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.compose import Chain, Inverse, Sandwich
from mango_mm.flows.invertible_cross_attention import InvertibleCrossAttention
from mango_mm.flows.learnable_cross_attention import LearnableCrossAttention
from mango_mm.flows.token_linear import TokenLinear
from mango_mm.flows.triangular_attention import mix

__all__ = ['attention_rollout']


@functools.singledispatch
@torch.no_grad()
def attention_rollout(bijection: Bijection, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The matrix by which a layer or flow mixes positions, per sample and head.

    A layer of your own that mixes positions joins by ``@attention_rollout.register``.

    Args:
        bijection: The layer or flow.
        x: Tokens that go in, (B, N, D).
        mask: Real tokens, (B, N).

    Returns:
        (B, H, N, N), H of the layers with most heads; row i says of what position i is made.
    """
    return _identity(x)


def _identity(x: Tensor) -> Tensor:
    return torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(x.shape[0], 1, -1, -1)


@attention_rollout.register(Chain)
@torch.no_grad()
def _(layer: Chain, x: Tensor, mask: Tensor | None = None) -> Tensor:
    total = _identity(x)
    for link in layer:
        total = _product(attention_rollout(link, x, mask), total)  # type: ignore[arg-type]  # ModuleList forgets
        x, _ = link(x, mask=mask)
    return total


@attention_rollout.register(Inverse)
@torch.no_grad()
def _(layer: Inverse, x: Tensor, mask: Tensor | None = None) -> Tensor:
    before, _ = layer.bijection.inverse(x, mask=mask)
    return torch.linalg.inv(attention_rollout(layer.bijection, before, mask))


@attention_rollout.register(Sandwich)
@torch.no_grad()
def _(layer: Sandwich, x: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention_rollout(Chain(layer.outer, layer.inner, Inverse(layer.outer)), x, mask)


@attention_rollout.register(TokenLinear)
@torch.no_grad()
def _(layer: TokenLinear, x: Tensor, mask: Tensor | None = None) -> Tensor:
    return layer(_identity(x)[:, 0], mask=mask)[0][:, None]


@attention_rollout.register(InvertibleCrossAttention)
@torch.no_grad()
def _(layer: InvertibleCrossAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    tokens = layer.last_first
    fixed, moved, _ = tokens.split(x)
    moved_mask = None if mask is None else tokens.split(mask)[1]
    q, k = layer._queries_and_keys(tokens.resample(fixed, mask))
    eye = _identity(moved).expand(-1, layer.num_heads, -1, -1)
    a, _ = mix(q, k, eye, layer.gates(), moved_mask, kernel='dense')
    whole = _identity(x).repeat(1, layer.num_heads, 1, 1)
    places = tokens.moved
    whole[:, :, places[:, None], places] = a
    return whole


@attention_rollout.register(LearnableCrossAttention)
@torch.no_grad()
def _(layer: LearnableCrossAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    mixing = attention_rollout(layer.mixing, x, mask)
    mixed, _ = layer.mixing(x, mask=mask)
    attended = attention_rollout(layer.attention, mixed, mask)
    return torch.linalg.solve(mixing, _product(attended, mixing))


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Per head; one head goes with any number."""
    return left @ right
