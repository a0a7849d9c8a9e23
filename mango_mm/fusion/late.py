"""Late fusion: one prediction from those of several modalities.

Logits are stacked by modality, (M, B, K, ...): B samples, K classes, any further dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ['certainty', 'combine_logits', 'fused_if_whole']


def certainty(logits: Tensor, *, multi_label: bool = False) -> Tensor:
    """How sure each modality is: minus the entropy of its prediction, in nats.

    Source: MLA (Zhang et al., CVPR 2024), whose weights exp(max_j H_j - H_m) are the softmax
    of this over modalities. Its code takes the softmax of the logits over the batch; here
    it is over the classes.

    Args:
        logits: (M, B, K, ...).
        multi_label: The classes are independent: the entropy is the sum over them.

    Returns:
        (M, B, 1, ...), at most 0.
    """
    if multi_label:
        p = logits.sigmoid()
        negative = p * nn.functional.logsigmoid(logits) + (1 - p) * nn.functional.logsigmoid(
            -logits
        )
    else:
        log_p = logits.log_softmax(dim=2)
        negative = log_p.exp() * log_p
    return negative.sum(dim=2, keepdim=True)


def combine_logits(
    logits: Tensor, scores: Tensor | None = None, present: Tensor | None = None
) -> Tensor:
    """sum_m softmax(scores)_m logits_m over the modalities that a sample has.

    Args:
        logits: (M, B, K, ...).
        scores: Broadcastable to them; None: all alike, the mean.
        present: Modalities that each sample has, bool (B, M); None: all. A sample without any
            is treated as if it had all.

    Returns:
        (B, K, ...).
    """
    ones = (1,) * (logits.dim() - 2)
    if scores is None:
        scores = logits.new_zeros(*logits.shape[:2], *ones)
    if present is not None:
        present = present | ~present.any(dim=1, keepdim=True)
        there = present.to(logits.device).T.reshape(*logits.shape[:2], *ones)
        scores = torch.where(there, scores, -torch.inf)
        logits = logits.masked_fill(~there, 0.0)  # what is absent may hold anything
    return (scores.softmax(dim=0) * logits).sum(dim=0)


def fused_if_whole(fused: Tensor, combined: Tensor, present: Tensor) -> Tensor:
    """The fused prediction where a sample has all modalities, else the combined one (MIND).

    Args:
        fused: (B, K, ...).
        combined: (B, K, ...), of the modalities that each sample has.
        present: The same as in :func:`combine_logits`.
    """
    whole = present.all(dim=1).to(fused.device)
    return torch.where(whole.view(-1, *(1,) * (fused.dim() - 1)), fused, combined)
