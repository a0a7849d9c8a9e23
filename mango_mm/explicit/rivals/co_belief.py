"""PDF: experts weighted by how likely they are predicted to be right, alone and beside others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ['CoBelief']

PENALTIES = tuple(10.0**k for k in range(-2, 6))  # of the regression; the best by leave-one-out
EDGE = 1e-4  # confidences are kept this far from 0 and 1


class CoBelief:
    """softmax(sum_m w_m logits_m), w = softmax over m of r_m (p_m + h_m).

    p_m is the predicted probability of the true class under expert m (mono-confidence), of the
    window descriptors of a sample; h_m = sum_{j != m} ln p_j / sum_j ln p_j what the others' lack
    of it adds (holo-confidence); r_m = min(1, d_m / d_j), d_m = mean over classes of
    |softmax(logits_m) - 1/C|, calibrates whoever is closer to saying nothing than the surest
    other one.

    Source:
        Cao et al., Predictive Dynamic Fusion, ICML 2024, https://arxiv.org/abs/2406.04802, and its
        release.
    Differs from it:
        confidences are predicted by a ridge regression of their logits, fitted after the training
        of the experts, where the release trains linear layers beside them; of more than two
        modalities, which neither has, r_m is taken against the surest other one.
    """

    def __init__(self) -> None:
        self.means: dict[str, Tensor] = {}
        self.scales: dict[str, Tensor] = {}
        self.coefficients: dict[str, Tensor] = {}
        self.offsets: dict[str, Tensor] = {}

    def fit(self, seen: Mapping[str, Tensor], confidences: Tensor) -> None:
        """Learn to predict confidences.

        Args:
            seen: Windows (N, W, F) of each modality.
            confidences: Mean probability of the truth under each expert, (M, N).
        """
        for (m, windows), confidence in zip(seen.items(), confidences):
            pooled = windows.double().mean(dim=1)
            self.means[m] = pooled.mean(dim=0)
            self.scales[m] = pooled.std(dim=0).clamp(min=1e-9)
            wanted = confidence.double().clamp(EDGE, 1 - EDGE).logit()
            self.offsets[m] = wanted.mean()
            self.coefficients[m] = ridge(
                (pooled - self.means[m]) / self.scales[m], wanted - self.offsets[m]
            )

    def confidence(self, modality: str, windows: Tensor) -> Tensor:
        """Predicted probability of the truth of windows (B, W, F), (B,)."""
        pooled = windows.double().mean(dim=1)
        standard = (pooled - self.means[modality]) / self.scales[modality]
        logit = standard @ self.coefficients[modality] + self.offsets[modality]
        return logit.sigmoid().clamp(EDGE, 1 - EDGE)

    def __call__(self, logits: Tensor, described: Mapping[str, Tensor]) -> Tensor:
        """(B, C, ...) of (M, B, C, ...) and the windows of each modality."""
        mono = torch.stack([self.confidence(m, described[m]) for m in self.means]).to(logits)
        lack = mono.log()
        holo = 1 - lack / lack.sum(dim=0)
        sure = (logits.softmax(dim=2) - 1 / logits.shape[2]).abs().flatten(2).mean(dim=2)
        count = len(sure)
        others = torch.stack(
            [sure[[j for j in range(count) if j != i]].amax(dim=0) for i in range(count)]
        )
        calibrated = (mono + holo) * (sure / others.clamp(min=1e-9)).clamp(max=1)
        weights = calibrated.softmax(dim=0)
        weights = weights.view(*weights.shape, *(1,) * (logits.dim() - 2))
        return (weights * logits).sum(dim=0).softmax(dim=1)


def ridge(x: Tensor, y: Tensor) -> Tensor:
    """Coefficients (F,) of y (N,) on x (N, F), both centred.

    The penalty is that of ``PENALTIES`` with the smallest leave-one-out error, in closed form.
    """
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    projected = u.T @ y
    errors, found = [], []
    for penalty in PENALTIES:
        shrink = s.square() / (s.square() + penalty)
        # The mean was fitted, too: it is one more direction that every row pulls at.
        leverage = (u.square() * shrink).sum(dim=1) + 1 / len(x)
        errors.append(((y - u @ (shrink * projected)) / (1 - leverage).clamp(min=1e-9)).square())
        found.append(v.T @ (s / (s.square() + penalty) * projected))
    return found[int(torch.stack(errors).mean(dim=1).argmin())]
