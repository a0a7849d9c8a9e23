"""Whose is the volume? The log-determinant of a flow, token by token.

Every layer's log-determinant is a sum of terms that belong to positions:

    ICA                 d * sum_h ln(1 + g_h P^h_ii)      of the moved token i
    couplings           sum over channels of s_i          of the moved token i
    ActNorm, Glow       the same for every token
    token mixing, LICA  D ln s_i, or ICA's term           of the mixed position i

and so is ln N(z; 0, I). Added up per token they give ln p(x) = sum_i c_i, exactly. What c_i is
and is not: where nothing mixes positions, it is the term of token i in the chain rule of the
layers' triangular maps, given the tokens that condition it. It is no marginal likelihood of the
token. Where positions are mixed (TokenLinear, LICA), a mixed position counts for the token of
the same index, of which it started as a copy: there the assignment is an **approximation**, the
sum is exact still.

Shape letters: B batch, N tokens, D channels.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from mango_mm.flows.act_norm import ActNorm
from mango_mm.flows.affine_coupling import AffineCoupling, _unpack
from mango_mm.flows.attention_coupling import AttentionCoupling
from mango_mm.flows.bijection import Bijection
from mango_mm.flows.compose import Chain, Inverse, Sandwich
from mango_mm.flows.invertible_cross_attention import InvertibleCrossAttention
from mango_mm.flows.learnable_cross_attention import LearnableCrossAttention
from mango_mm.flows.rivals import ChannelLinear, MapAttention, MixtureCoupling
from mango_mm.flows.rivals.flow_plus_plus import _logit_of_mixture
from mango_mm.flows.token_linear import TokenLinear
from mango_mm.flows.token_partition import TokenPartition
from mango_mm.flows.triangular_attention import mix

__all__ = ['log_det_terms', 'log_prob_terms', 'mixes_positions']


@functools.singledispatch
def log_det_terms(bijection: Bijection, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The terms of a log-determinant, (B, N); padded tokens have 0.

    A bijection of your own joins by ``@log_det_terms.register``.

    Args:
        bijection: The layer or flow.
        x: Tokens that go in, (B, N, D).
        mask: Real tokens, (B, N).

    Returns:
        ``terms`` with ``terms.sum(1) == bijection(x, mask=mask)[1]``.

    Raises:
        TypeError: If the kind of bijection is not known here.
    """
    raise TypeError(
        f'log_det_terms knows no {type(bijection).__name__}; register a function for it.'
    )


def log_prob_terms(
    bijection: Bijection, x: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What every token adds to ln p(x) in nats, (B, N), and the latent, (B, N, D).

    ``terms.sum(1)`` is ``FlowDensity(bijection).log_prob(x)``.
    """
    z, _ = bijection(x, mask=mask)
    gaussian = -0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=2)
    if mask is not None:
        gaussian = torch.where(mask, gaussian, 0.0)
    return gaussian + log_det_terms(bijection, x, mask), z


def mixes_positions(bijection: Bijection) -> bool:
    """Whether some layer mixes positions, so that the terms' assignment is an approximation."""
    return any(isinstance(m, (TokenLinear, LearnableCrossAttention)) for m in bijection.modules())


def _real(x: Tensor, mask: Tensor | None) -> Tensor:
    return x.new_ones(x.shape[:2]) if mask is None else mask.to(x.dtype)


def _placed(partition: TokenPartition, x: Tensor, terms: Tensor) -> Tensor:
    """Terms of the moved tokens, (B, n), at their positions, (B, N)."""
    _, _, pieces = partition.split(x.new_zeros(*x.shape[:2], 1))
    return partition.merge(pieces, terms[..., None])[..., 0]


@log_det_terms.register(Chain)
def _(layer: Chain, x: Tensor, mask: Tensor | None = None) -> Tensor:
    total = x.new_zeros(x.shape[:2])
    for link in layer:
        total = total + log_det_terms(link, x, mask)  # type: ignore[arg-type]  # ModuleList forgets
        x, _ = link(x, mask=mask)
    return total


@log_det_terms.register(Inverse)
def _(layer: Inverse, x: Tensor, mask: Tensor | None = None) -> Tensor:
    before, _ = layer.bijection.inverse(x, mask=mask)
    return -log_det_terms(layer.bijection, before, mask)


@log_det_terms.register(Sandwich)
def _(layer: Sandwich, x: Tensor, mask: Tensor | None = None) -> Tensor:
    whole = Chain(layer.outer, layer.inner, Inverse(layer.outer))
    return log_det_terms(whole, x, mask)


@log_det_terms.register(ActNorm)
def _(layer: ActNorm, x: Tensor, mask: Tensor | None = None) -> Tensor:
    return _real(x, mask) * layer.log_scale.sum()


@log_det_terms.register(ChannelLinear)
def _(layer: ChannelLinear, x: Tensor, mask: Tensor | None = None) -> Tensor:
    return _real(x, mask) * layer._factors()[2].sum()


@log_det_terms.register(AffineCoupling)
def _(layer: AffineCoupling, x: Tensor, mask: Tensor | None = None) -> Tensor:
    fixed, _ = layer.halves.split(x)
    return _unpack(layer.conditioner(fixed), layer.clamp, mask)[0].sum(dim=2)


@log_det_terms.register(MixtureCoupling)
def _(layer: MixtureCoupling, x: Tensor, mask: Tensor | None = None) -> Tensor:
    fixed, moved = layer.halves.split(x)
    scale, _, mixture = layer._condition(fixed, mask)
    terms = (scale + _logit_of_mixture(moved, *mixture)[1]).sum(dim=2)
    return terms if mask is None else torch.where(mask, terms, 0.0)


@log_det_terms.register(AttentionCoupling)
def _(layer: AttentionCoupling, x: Tensor, mask: Tensor | None = None) -> Tensor:
    fixed, _, _ = layer.partition.split(x)
    raw, moved_mask = layer._conditions(fixed, mask)
    return _placed(layer.partition, x, _unpack(raw, layer.clamp, moved_mask)[0].sum(dim=2))


@log_det_terms.register(MapAttention)
def _(layer: MapAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    fixed, _, _ = layer.partition.split(x)
    terms = x.shape[2] * layer._log_map(fixed, mask)[..., 0]
    return _placed(layer.partition, x, terms)


@log_det_terms.register(InvertibleCrossAttention)
def _(layer: InvertibleCrossAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    tokens = layer.last_first
    fixed, moved, _ = tokens.split(x)
    moved_mask = None if mask is None else tokens.split(mask)[1]
    terms = _attention_terms(layer, tokens.resample(fixed, mask), moved, moved_mask)
    return _placed(tokens, x, terms)


@log_det_terms.register(TokenLinear)
def _(layer: TokenLinear, x: Tensor, mask: Tensor | None = None) -> Tensor:
    return x.shape[2] * layer._log_diagonal() * _real(x, mask)


@log_det_terms.register(LearnableCrossAttention)
def _(layer: LearnableCrossAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    mixed, _ = layer.mixing(x, mask=mask)
    if mask is not None:
        mixed = mixed.masked_fill(~mask[..., None], 0.0)
    return log_det_terms(layer.attention, mixed, mask)


def _attention_terms(
    layer: InvertibleCrossAttention, conditions: Tensor, moved: Tensor, mask: Tensor | None
) -> Tensor:
    """D * sum_h ln(1 + g_h P^h_ii) of every moved token, (B, n)."""
    q, k = layer._queries_and_keys(conditions)
    g = layer.gates()
    _, log_diagonal = mix(q, k, layer._to_heads(moved), g, mask, kernel=layer.kernel)
    terms: Tensor = torch.log1p(g[:, None] * log_diagonal.exp()).sum(dim=1)
    return layer.dim // layer.num_heads * terms
