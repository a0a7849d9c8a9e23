"""How far a student is from its teacher."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ['distill_categories', 'distill_labels']


def distill_categories(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || student) of logits (B, K, ...), per sample, averaged over the rest.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015.
    """
    target = (teacher / temperature).log_softmax(dim=1)
    log_p = (student / temperature).log_softmax(dim=1)
    kl = (target.exp() * (target - log_p)).sum(dim=1)
    return temperature**2 * kl.flatten(1).mean(dim=1) if kl.dim() > 1 else temperature**2 * kl


def distill_labels(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """The same for independent classes: sum over classes of binary divergences, (B,)."""
    target = (teacher / temperature).sigmoid()
    cross = nn.functional.binary_cross_entropy_with_logits(
        student / temperature, target, reduction='none'
    )
    own = nn.functional.binary_cross_entropy_with_logits(
        teacher / temperature, target, reduction='none'
    )
    return temperature**2 * (cross - own).sum(dim=1)
