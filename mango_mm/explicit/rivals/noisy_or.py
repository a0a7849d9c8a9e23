"""UNO: experts that are less sure than usual are softened, then joined by noisy-or."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['NoisyOr']


class NoisyOr:
    """1 - prod_m (1 - softmax(r_m logits_m)), normalised over classes.

    r_m = min(1, usual entropy of m / its entropy on this sample), the deviation ratio.

    Source:
        Tian et al., UNO, ICRA 2020, https://arxiv.org/abs/1911.05611.
    Differs from it:
        of its measures of uncertainty the entropy of the prediction alone is used; mutual
        information over dropout and the learned spatial temperature, which is trained with
        degraded samples, are left out.
    """

    def __init__(self) -> None:
        self.usual = torch.ones(0)

    def fit(self, logits: Tensor) -> None:
        """The usual entropy of every expert, of logits (M, N, C)."""
        self.usual = torch.special.entr(logits.double().softmax(dim=2)).sum(dim=2).mean(dim=1)

    def __call__(self, logits: Tensor) -> Tensor:
        """(B, C, ...) of (M, B, C, ...)."""
        entropy = torch.special.entr(logits.softmax(dim=2)).sum(dim=2)
        of_sample = entropy.flatten(2).mean(dim=2) if entropy.dim() > 2 else entropy
        usual = self.usual.to(logits)[:, None]
        ratio = (usual / of_sample.clamp(min=1e-9)).clamp(max=1)
        ratio = ratio.view(*ratio.shape, *(1,) * (logits.dim() - 2))
        softened = (ratio * logits).softmax(dim=2)
        joint = 1 - (1 - softened).prod(dim=0)
        return joint / joint.sum(dim=1, keepdim=True).clamp(min=1e-9)
