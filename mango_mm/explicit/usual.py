"""What is usual of clean samples: moments of the statistics that a trust judges by."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ['Usual', 'conformal_quantile', 'shrunk_gaussian', 'usual_of']

SHRINKAGE = 0.1  # of covariances towards their diagonal


class Usual(NamedTuple):
    """Moments of own statistics (M, U), (M, U, U), and of information (M,), or (B, M) of samples.

    Attributes:
        own_mean: Means.
        own_precision: Inverses of the shrunk covariances.
        information_mean: Mean over windows and samples.
        information_deviation: Of the samples' means over windows.
    """

    own_mean: Tensor
    own_precision: Tensor
    information_mean: Tensor
    information_deviation: Tensor


def usual_of(own: Tensor, information: Tensor) -> Usual:
    """Of clean samples' own statistics (N, M, U) and information (N, M, W)."""
    deviation = information.mean(dim=2).std(dim=0).clamp(min=1e-12)
    return Usual(*shrunk_gaussian(own), information.mean(dim=(0, 2)), deviation)


def shrunk_gaussian(own: Tensor) -> tuple[Tensor, Tensor]:
    """Means (M, U) and precisions (M, U, U) of (N, M, U)."""
    mean = own.mean(dim=0)
    off = own - mean
    covariance = torch.einsum('nmi,nmj->mij', off, off) / (len(own) - 1)
    diagonal = torch.diag_embed(covariance.diagonal(dim1=1, dim2=2).clamp(min=1e-12))
    return mean, torch.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal)


def conformal_quantile(scores: Tensor, rate: float) -> Tensor:
    """What a further score of the same kind exceeds with probability ``rate`` at most.

    Args:
        scores: Of n samples, (n,).
        rate: In (0, 1).

    Raises:
        ValueError: If n is too small to promise that, or a score is not finite.
    """
    if not 0 < rate < 1:
        raise ValueError(f'rate must lie in (0, 1); got {rate}.')
    rank = math.ceil((len(scores) + 1) * (1 - rate))
    if rank > len(scores):
        needed = math.ceil(1 / rate) - 1
        raise ValueError(
            f'a false alarm rate of {rate} takes {needed} clean samples or more; got {len(scores)}.'
        )
    if not scores.isfinite().all():
        raise ValueError('scores of clean samples must be finite.')
    return scores.sort().values[rank - 1]
