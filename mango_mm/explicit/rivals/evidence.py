"""TMC: experts' evidence as Dirichlet opinions, joined by Dempster's rule."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['DempsterRule']


class DempsterRule:
    """Each expert believes in classes, b = e / S, and has doubt left, u = C / S.

    e = softplus(logits), S = sum_c (e_c + 1). Two opinions are joined by

        b_c = (b1_c b2_c + b1_c u2 + b2_c u1) / (1 - conflict),   u = u1 u2 / (1 - conflict)

    conflict = sum over c != d of b1_c b2_d, and a third one to what came out. The prediction is
    the mean of the joint Dirichlet, b_c + u / C.

    Source:
        Han et al., Trusted Multi-View Classification, ICLR 2021,
        https://arxiv.org/abs/2102.02051, Eqs. 2 to 5, and its release.
    Differs from it:
        the experts are those of the other rivals, trained by cross-entropy, not by the evidential
        loss; so their logits say evidence only up to what cross-entropy leaves open.
    """

    def __call__(self, logits: Tensor) -> Tensor:
        """(B, C, ...) of (M, B, C, ...)."""
        classes = logits.shape[2]
        evidence = F.softplus(logits)
        total = evidence.sum(dim=2, keepdim=True) + classes
        beliefs, doubts = evidence / total, classes / total
        belief, doubt = beliefs[0], doubts[0]
        for b, u in zip(beliefs[1:], doubts[1:]):
            agreed = belief * b
            conflict = belief.sum(1, keepdim=True) * b.sum(1, keepdim=True) - agreed.sum(
                1, keepdim=True
            )
            left = (1 - conflict).clamp(min=torch.finfo(b.dtype).tiny)
            belief, doubt = (agreed + belief * u + b * doubt) / left, doubt * u / left
        return belief + doubt / classes
