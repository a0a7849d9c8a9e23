"""CEN: channels that a normalisation has switched off take another modality's.

    x_m^ = BN_m(x_m),  gamma_m its scale                    private to each modality
    y_m,c = x_m^,c                          where |gamma_m,c| >= theta
          = mean over k != m of x_k^,c      where |gamma_m,c| < theta
    loss = (M + 1) lambda * sum_m sum over m's share of channels |gamma_m,c|

The loss pushes the scales of m's share alone, the m-th of M equal parts, so that no channel is
pushed in all modalities; whatever is small is exchanged, whosever share it is.
``ChannelExchange`` is one such step, after a normalisation of a backbone
(``BlockFusionBackbone``); ``ChannelExchangeFusion`` takes it once, at a neck.

Source:
    Wang et al., CEN, NeurIPS 2020, https://arxiv.org/abs/2011.05005, Eq. 6-7, and its release,
    yikaiw/CEN 0088d87: the loss is added once for each of its M + 1 outputs (hence the factor,
    which its code remarks on), and of a ResNet's block ``bn2`` alone is exchanged.
Differs from it:
    more than two modalities; ``ChannelExchangeFusion`` exchanges once, between backbone and
    head. In a transformer the scales are those of layer normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align
from mango_mm.fusion.block_fusion import BlockFusion
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['ChannelExchange', 'ChannelExchangeFusion']


class ChannelExchange(BlockFusion):
    """Exchanges the channels whose scale is small.

    Args:
        modalities: Their names, at least two.
        dim: Channels D, at least as many as modalities.
        threshold: theta.
        sparsity_weight: lambda.

    Raises:
        ValueError: If there are more modalities than channels.
    """

    share: Tensor

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        *,
        threshold: float = 2e-2,
        sparsity_weight: float = 2e-4,
    ) -> None:
        super().__init__(modalities, dim)
        if len(self.modalities) > dim:
            raise ValueError(
                f'channel exchange needs 2 to dim = {dim} modalities; got {self.modalities}.'
            )
        self.threshold, self.sparsity_weight = threshold, sparsity_weight
        share = torch.arange(dim) * len(self.modalities) // dim
        self.register_buffer('share', share, persistent=False)

    def forward(
        self,
        features: Sequence[Tensor],
        *,
        entered: Sequence[Tensor] | None = None,
        scales: Sequence[Tensor] | None = None,
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        if scales is None:
            raise ValueError('channel exchange needs the scales of a normalisation; got none.')
        total = torch.stack(list(features)).sum(dim=0)
        exchanged, penalty = [], features[0].new_zeros(())
        for m, (x, scale) in enumerate(zip(features, scales)):
            gamma = scale.abs()
            others = (total - x) / (len(features) - 1)
            exchanged.append(torch.where(gamma < self.threshold, others, x))
            penalty = penalty + (gamma * (self.share == m)).sum()
        outputs = len(features) + 1  # every modality's, and the ensemble's
        return exchanged, {'channel_scales': outputs * self.sparsity_weight * penalty}


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
        self.exchange = ChannelExchange(
            self.modalities, dim, threshold=threshold, sparsity_weight=sparsity_weight
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in modalities)
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
        scales = [norm.get_parameter('weight') for norm in self.norms]
        exchanged, losses = self.exchange(normalized, scales=scales)
        fused, mask = self.reduce(exchanged, real)
        latents = dict(zip(self.modalities, exchanged))
        return FusionOutput(fused, mask, latents=latents, losses=losses)


def _normalize(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Batch normalisation of tokens (B, N, D); padding takes no part in the statistics."""
    if mask is None:
        flat: Tensor = norm(x.flatten(0, 1))
        return flat.view_as(x)
    return torch.zeros_like(x).masked_scatter(mask[..., None], norm(x[mask]))
