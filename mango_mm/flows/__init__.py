"""Invertible maths on tokens (B, N, D): plain torch, no modality, no toolbox."""

from mango_mm.flows.act_norm import ActNorm
from mango_mm.flows.affine_coupling import AffineCoupling
from mango_mm.flows.attention_coupling import AttentionCoupling
from mango_mm.flows.bijection import Bijection, mixes_positions, reset_tree
from mango_mm.flows.compose import Chain, Inverse, Sandwich
from mango_mm.flows.density import FlowDensity, gaussian_log_prob, gaussian_terms, num_dims
from mango_mm.flows.invertible_cross_attention import InvertibleCrossAttention
from mango_mm.flows.learnable_cross_attention import LearnableCrossAttention
from mango_mm.flows.token_linear import TokenLinear
from mango_mm.flows.token_partition import TokenPartition

__all__ = [
    'ActNorm',
    'AffineCoupling',
    'AttentionCoupling',
    'Bijection',
    'Chain',
    'FlowDensity',
    'Inverse',
    'InvertibleCrossAttention',
    'LearnableCrossAttention',
    'Sandwich',
    'TokenLinear',
    'TokenPartition',
    'gaussian_log_prob',
    'gaussian_terms',
    'mixes_positions',
    'num_dims',
    'reset_tree',
]
