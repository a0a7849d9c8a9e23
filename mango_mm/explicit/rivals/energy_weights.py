"""QMF's fusion: experts weighted by their energy."""

from __future__ import annotations

from torch import Tensor

__all__ = ['EnergyWeights']

SCALE = 0.1  # of the release


class EnergyWeights:
    """softmax(sum_m w_m logits_m), w_m = ln sum_c exp(logits_mc) / 10, at least 0.

    Source:
        Zhang et al., QMF, ICML 2023, https://arxiv.org/abs/2306.02050, Eq. 13, and its release.
    Differs from it:
        the experts are those of the other rivals: its ranking loss, which orders the weights by
        the losses that training samples had, is left out. Weights are per pixel.
    """

    def __call__(self, logits: Tensor) -> Tensor:
        """(B, C, ...) of (M, B, C, ...)."""
        weights = (SCALE * logits.logsumexp(dim=2, keepdim=True)).clamp(min=0)
        return (weights * logits).sum(dim=0).softmax(dim=1)
