"""GeminiFusion: every token attends to itself, with noise, and to its twins.

    q   = W_q x_m
    k   = [W_k (x_m + noise_k), W_k (x_m * phi(x_m, x_j)) ...]      one twin per other modality j
    v   = [W_v (x_m + noise_v), W_v x_j ...]
    y_m = x_m + W_o softmax(q k' / sqrt(d)) v
    phi = softmax(MLP([x_m; x_j]))               over channels: how alike; one MLP for all m

The noise is learned, one vector for keys and one for values; without it a token's own key
always wins. Cost is linear in the number of tokens. ``PixelwiseAttention`` is one such step, for
every block of a backbone (``BlockFusionBackbone``); ``GeminiFusion`` takes it once, at a neck.

Source:
    Jia et al., GeminiFusion, ICML 2024, https://arxiv.org/abs/2406.01210, Eq. 3-8, and its
    release, JiaDingCN/GeminiFusion 1f102f6.
Differs from it:
    all positions of a batch go at once, where its code loops over images; more than two
    modalities; ``GeminiFusion`` fuses once, between backbone and head. Inside a block the release
    acts on what attention made, under the drop path and before the residual sum: in its Swin after
    the output projection, as here (``write='attn.proj_drop'``), in its MiT before it, which is
    inside one function of torch that no hook reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align
from mango_mm.fusion.block_fusion import BlockFusion
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['GeminiFusion', 'PixelwiseAttention']


class _PixelAttention(nn.Module):
    """One modality's attention over its own token and its twins."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.project = nn.Linear(dim, dim)
        self.noise = nn.Embedding(2, dim)

    def forward(self, x: Tensor, others: Sequence[Tensor], alike: Sequence[Tensor]) -> Tensor:
        """Args: own tokens (B, N, D), their twins, and phi of each."""
        k = self.key(torch.stack([x + self.noise.weight[0], *(x * a for a in alike)]))
        v = self.value(torch.stack([x + self.noise.weight[1], *others]))
        q, k, v = (t.unflatten(-1, (self.num_heads, -1)) for t in (self.query(x), k, v))
        # (keys, B, N, heads): the keys of a token are its own few, so no matrix product.
        weights = ((q * k).sum(-1) / q.shape[-1] ** 0.5).softmax(dim=0)
        attended = (weights[..., None] * v).sum(dim=0).flatten(-2)
        updated: Tensor = x + self.project(attended)
        return updated


class PixelwiseAttention(BlockFusion):
    """Attention of every token over itself and its twins, one module per modality.

    Args:
        modalities: Their names, at least two.
        dim: Channels D.
        num_heads: Heads; they must divide D.

    Raises:
        ValueError: If the heads do not divide D.
    """

    def __init__(self, modalities: Sequence[str], dim: int, *, num_heads: int = 8) -> None:
        super().__init__(modalities, dim)
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.attentions = nn.ModuleList(_PixelAttention(dim, num_heads) for _ in modalities)
        self.relation = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(
        self,
        features: Sequence[Tensor],
        *,
        entered: Sequence[Tensor] | None = None,
        scales: Sequence[Tensor] | None = None,
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        updated = []
        for m, (attention, x) in enumerate(zip(self.attentions, features)):
            others = [t for k, t in enumerate(features) if k != m]
            alike = [self.relation(torch.cat([x, t], dim=-1)).softmax(dim=-1) for t in others]
            updated.append(attention(x, others, alike))
        return updated, {}


class GeminiFusion(Fusion):
    """Pixel-wise attention of every token over itself and its twins, between backbone and head.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        num_heads: Heads.
        reduction: ``'concat'``, ``'sum'`` or ``'sequence'``.

    Raises:
        ValueError: If there is only one modality or the heads do not divide D.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        num_heads: int = 8,
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        self.exchange = PixelwiseAttention(self.modalities, dim, num_heads=num_heads)
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('GeminiFusion', tokens, self.joint_mask(tokens, masks))
        updated, _ = self.exchange(tokens)
        fused, mask = self.reduce(updated, real)
        return FusionOutput(fused, mask, latents=dict(zip(self.modalities, updated)))
