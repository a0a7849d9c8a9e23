"""What training strategies add to a loss or do to a gradient, as formulas on tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = [
    'GradientProjection',
    'covariance_penalty',
    'distill_categories',
    'distill_labels',
    'umurl_loss',
    'variance_penalty',
]


class GradientProjection(nn.Module):
    """Keeps updates of a linear layer out of directions that earlier inputs have used.

        k = P r,   P <- P - k k' / (alpha + r' k),   P <- P / ||P||_F          after every turn
        gradient of W (K, C)  <-  gradient @ P                                 before every step

    r is the mean input of the turn just trained, P starts as the identity. So the gradient of a
    turn is projected with the inputs of the turns before it.

    Source: MLA (Zhang et al., CVPR 2024), a recursive least-squares projection.
    Differs from its released code (Cecile-hi/MLA ab6c184), in which the projection never reaches
    the head (it looks for a parameter named ``module.weight``); which updates P with the features
    of the very turn whose gradient it projects, and so would remove the gradient's own main
    direction: of one sample it is an outer product with r; and which divides elementwise by the
    C x C matrix alpha + k r instead of the number alpha + r' k.

    Args:
        channels: C, of the layer's input.
    """

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('matrix', torch.eye(channels))

    def project(self, gradient: Tensor) -> Tensor:
        """A gradient (K, C, ...) of as many elements, projected; shape unchanged."""
        return (gradient.flatten(1) @ self.matrix.T.to(gradient)).view_as(gradient)

    @torch.no_grad()
    def update(self, mean_input: Tensor, alpha: float) -> None:
        """Take in the mean input (C,) of a turn.

        Args:
            mean_input: r.
            alpha: The smaller, the more completely r is left out afterwards.
        """
        r = mean_input.to(self.matrix)
        k = self.matrix @ r
        matrix = self.matrix - torch.outer(k, k) / (alpha + r @ k)
        self.matrix.copy_(matrix / matrix.norm())


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
    """The loss of UmURL, by terms.

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
