"""CEN at a neck: channels that batch normalisation has switched off take another modality's.

    x_m^ = BN_m(x_m),  gamma_m its scale                    private to each modality
    y_m,c = x_m^,c                          where |gamma_m,c| >= theta
          = mean over k != m of x_k^,c      where |gamma_m,c| < theta
    loss = lambda * sum_m sum over m's share of channels |gamma_m,c|

Each modality may give up only its own share of the channels, the m-th of M equal parts.

Source:
    Wang et al., CEN, NeurIPS 2020, https://arxiv.org/abs/2011.05005, Eq. 6-7.
Differs from it:
    it exchanges after every normalisation of a backbone, this once, between backbone and head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['ChannelExchangeFusion']


class ChannelExchangeFusion(Fusion):
    """Normalises every modality by itself and exchanges channels of small scale.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens, at least as many as modalities.
        out_dim: Channels E of the fused feature; None: D.
        threshold: theta.
        sparsity_weight: lambda.
        reduction: ``'concat'``, ``'sum'`` or ``'sequence'``.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        threshold: float = 2e-2,
        sparsity_weight: float = 2e-4,
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if not 2 <= len(self.modalities) <= dim:
            raise ValueError(
                f'channel exchange needs 2 to dim = {dim} modalities; got {self.modalities}.'
            )
        self.threshold, self.sparsity_weight = threshold, sparsity_weight
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in modalities)
        share = torch.arange(dim) * len(self.modalities) // dim
        self.register_buffer('share', share, persistent=False)
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('ChannelExchangeFusion', tokens, self.joint_mask(tokens, masks))
        normalized = [
            _normalize(norm, x, None if real is None else real[m])
            for m, (norm, x) in enumerate(zip(self.norms, tokens))
        ]
        total = torch.stack(normalized).sum(dim=0)
        exchanged, penalty = [], tokens[0].new_zeros(())
        for m, x in enumerate(normalized):
            gamma: Tensor = self.norms[m].weight.abs()  # type: ignore[operator,union-attr]  # ModuleList forgets the class
            own = self.share == m
            others = (total - x) / (len(normalized) - 1)
            exchanged.append(torch.where((gamma < self.threshold) & own, others, x))
            penalty = penalty + (gamma * own).sum()
        fused, mask = self.reduce(exchanged, real)
        return FusionOutput(
            fused, mask, latents=dict(zip(self.modalities, exchanged)),
            extras={'losses': {'channel_scales': self.sparsity_weight * penalty}},
        )  # fmt: skip


def _normalize(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Batch normalisation of tokens (B, N, D); padding takes no part in the statistics."""
    if mask is None:
        flat: Tensor = norm(x.flatten(0, 1))
        return flat.view_as(x)
    return torch.zeros_like(x).masked_scatter(mask[..., None], norm(x[mask]))
