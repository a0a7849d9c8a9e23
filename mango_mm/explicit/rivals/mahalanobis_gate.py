"""A gate on the distance of an expert's features from those of clean samples."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mango_mm.explicit.usual import conformal_quantile

__all__ = ['MahalanobisGate']

SHRINKAGE = 0.1


class MahalanobisGate:
    """Mean of the experts whose features are not further off than clean ones are.

    The features are the same window descriptors that a trust reads, averaged over windows; of
    every modality one Gaussian, and the distance that a clean sample exceeds at the stated rate.
    Where all are further off, all count.

    Source:
        the distance is that of Lee et al., NeurIPS 2018, https://arxiv.org/abs/1807.03888,
        without classes; one density per modality, nothing of what they tell of each other.

    Args:
        rate: Clean samples of a modality that are refused, at most.
    """

    def __init__(self, rate: float = 0.02) -> None:
        self.rate = rate
        self.means: dict[str, Tensor] = {}
        self.factors: dict[str, Tensor] = {}
        self.limits: dict[str, Tensor] = {}

    def fit(self, seen: Mapping[str, Tensor], held_out: Mapping[str, Tensor]) -> None:
        """Gaussians of training samples, limits of held-out ones, windows (N, W, F) each."""
        for m, windows in seen.items():
            pooled = windows.double().mean(dim=1)
            self.means[m] = pooled.mean(dim=0)
            covariance = torch.cov(pooled.T)
            spread = covariance.diagonal().mean().clamp(min=1e-12)
            ridge = spread * torch.eye(len(covariance), dtype=covariance.dtype)
            shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * ridge
            self.factors[m] = torch.linalg.cholesky(shrunk)
            self.limits[m] = conformal_quantile(self.distance(m, held_out[m]), self.rate)

    def distance(self, modality: str, windows: Tensor) -> Tensor:
        """Squared Mahalanobis distance of windows (B, W, F), (B,)."""
        off = windows.double().mean(dim=1) - self.means[modality]
        solved = torch.linalg.solve_triangular(self.factors[modality], off.T, upper=False)
        return solved.square().sum(dim=0)

    def __call__(self, logits: Tensor, described: Mapping[str, Tensor]) -> Tensor:
        """(B, C, ...) of (M, B, C, ...) and the windows of each modality."""
        usual = torch.stack([self.distance(m, described[m]) <= self.limits[m] for m in self.means])
        usual = usual | ~usual.any(dim=0)
        weights = usual.to(logits) / usual.sum(dim=0)
        weights = weights.view(*weights.shape, *(1,) * (logits.dim() - 2))
        return (weights * logits.softmax(dim=2)).sum(dim=0)
