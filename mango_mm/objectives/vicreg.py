"""Variance and covariance of embeddings (VICReg), and the loss that UmURL makes of them.

Source:
    Bardes et al., VICReg, ICLR 2022, https://arxiv.org/abs/2105.04906.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ['covariance_penalty', 'umurl_loss', 'variance_penalty']


def variance_penalty(z: Tensor) -> Tensor:
    """Mean over dimensions of relu(1 - std) of embeddings (B, D): VICReg, Eq. 1."""
    return torch.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean()


def covariance_penalty(z: Tensor) -> Tensor:
    """Squared covariances between different dimensions of (B, D), over D: VICReg, Eq. 4."""
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (len(z) - 1)
    squares = covariance.square()
    return (squares.sum() - squares.diagonal().sum()) / z.shape[1]


def umurl_loss(
    alone: Sequence[Tensor],
    parts: Sequence[Tensor],
    *,
    consistency_weight: float = 5.0,
    variance_weight: float = 5.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    """The loss of UmURL, by terms::

        intra = sum_m MSE(z_m, z'_m)           what a modality gives alone, and what the fused
                                               feature holds of it
        inter = sum_m MSE(z_m, mean_k z_k)     the modalities of a sample
        regularisation                         VICReg's variance and covariance, of all z and z'

    Source: Sun et al., Unified Multi-modal Unsupervised Representation Learning, ACM MM 2023.

    Args:
        alone: z_m, (B, D) of each modality.
        parts: z'_m, (B, D) of each modality, decomposed from the fused feature.
        consistency_weight: Of intra and inter.
        variance_weight: Of the variance penalty.
        covariance_weight: Of the covariance penalty.

    Raises:
        ValueError: If there is only one sample: it has no variance.
    """
    if len(alone[0]) < 2:
        raise ValueError(f'UmURL needs two samples or more per process; got {len(alone[0])}.')
    centre = torch.stack(list(alone)).mean(dim=0)
    every = [*alone, *parts]
    intra = sum(
        (nn.functional.mse_loss(z, part) for z, part in zip(alone, parts)),
        start=centre.new_zeros(()),
    )
    inter = sum((nn.functional.mse_loss(z, centre) for z in alone), start=centre.new_zeros(()))
    variance = torch.stack([variance_penalty(z) for z in every]).sum()
    covariance = torch.stack([covariance_penalty(z) for z in every]).sum()
    return {
        'intra': consistency_weight * intra,
        'inter': consistency_weight * inter,
        'variance': variance_weight * variance,
        'covariance': covariance_weight * covariance,
    }
