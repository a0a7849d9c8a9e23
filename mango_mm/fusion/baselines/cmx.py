"""CMX: modalities rectify each other's channels and positions, then exchange global context.

    Rectification (FRM), for all modalities m and the M - 1 others k:
        w_c = sigmoid(MLP([avg; max over positions of [x_1; ...; x_M]]))     M x C
        w_s = sigmoid(conv1x1(relu(conv1x1([x_1; ...; x_M]))))               M x positions
        x_m <- x_m + mean_k (w_c,k / 2 + w_s,k / 2) x_k
    Fusion (FFM):
        [y_m, u_m] = relu(W x_m),  G_m = softmax_rows(K_m' V_m / sqrt(d)),  K, V = W_kv u_m
        x_m <- LN(x_m + W_o [y_m; u_m mean_k G_k])
        fused = BN(W_r X + BN(conv1x1(relu(dw3x3(conv1x1(X)))))),  X = [x_1; ...; x_M]

G is a d x d context of a whole modality, so that cost is linear in positions.

Source:
    Zhang et al., CMX, T-ITS 2023, https://arxiv.org/abs/2203.04838, Section III, and its release,
    huaaaliu/RGBX_Semantic_Segmentation e251d86. Its four stages have 1, 2, 5 and 8 heads: the
    configs give ``FusionNeck`` one fusion per stage.
Differs from it:
    it sends the rectified features on into the next stage of both backbones, this once, between
    backbone and head; more than two modalities, by the means over the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align, require_grid
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map

__all__ = ['CMXFusion']


class _Rectify(nn.Module):
    """FRM: every modality is corrected by the others, channel by channel and place by place."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.count = count
        self.channel = nn.Sequential(
            nn.Linear(2 * count * dim, 2 * count * dim), nn.ReLU(),
            nn.Linear(2 * count * dim, count * dim), nn.Sigmoid(),
        )  # fmt: skip
        self.spatial = nn.Sequential(
            nn.Linear(count * dim, dim), nn.ReLU(), nn.Linear(dim, count), nn.Sigmoid()
        )

    def forward(self, tokens: Sequence[Tensor], visible: Tensor | None) -> list[Tensor]:
        joint = torch.cat(list(tokens), dim=-1)
        if visible is None:
            average, largest = joint.mean(dim=1), joint.amax(dim=1)
        else:
            shown = visible[..., None]
            average = joint.sum(dim=1) / shown.sum(dim=1).clamp(min=1)
            largest = joint.masked_fill(~shown, float('-inf')).amax(dim=1)
            largest = torch.where(visible.any(dim=1, keepdim=True), largest, 0.0)
        by_channel = self.channel(torch.cat([average, largest], dim=-1)).chunk(self.count, dim=-1)
        by_place = self.spatial(joint).unbind(dim=-1)
        offers = torch.stack(
            [0.5 * (c[:, None] + p[..., None]) * x for c, p, x in zip(by_channel, by_place, tokens)]
        )
        total = offers.sum(dim=0)
        return [x + (total - own) / (self.count - 1) for x, own in zip(tokens, offers)]


class _Exchange(nn.Module):
    """The cross path of FFM: one modality's tokens read the others' contexts."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.split = nn.Linear(dim, 2 * dim)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.project = nn.Linear(2 * dim, dim)
        self.norm = nn.LayerNorm(dim)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What stays and what asks, (B, N, D) each."""
        kept, asking = self.split(x).relu().chunk(2, dim=-1)
        return kept, asking

    def context(self, asking: Tensor, visible: Tensor | None) -> Tensor:
        """The modality's context, (B, heads, d, d): columns sum to one over the rows."""
        k, v = (
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in self.key_value(asking).chunk(2, dim=-1)
        )
        if visible is not None:
            v = v * visible[:, None, :, None]
        return (k.transpose(-2, -1) @ v * k.shape[-1] ** -0.5).softmax(dim=-2)

    def forward(self, x: Tensor, kept: Tensor, asking: Tensor, context: Tensor) -> Tensor:
        q = asking.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        read = (q @ context).transpose(1, 2).flatten(2)
        updated: Tensor = self.norm(x + self.project(torch.cat([kept, read], dim=-1)))
        return updated


class CMXFusion(Fusion):
    """Feature rectification and feature fusion of CMX, for maps.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        num_heads: Heads of the global contexts.

    Raises:
        ValueError: If there is only one modality or the heads do not divide D.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        num_heads: int = 1,
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        count = len(self.modalities)
        if count < 2:
            raise ValueError(f'CMX needs two modalities; got {self.modalities}.')
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.rectify = _Rectify(count, dim)
        self.exchange = nn.ModuleList(_Exchange(dim, num_heads) for _ in modalities)
        self.residual = nn.Conv2d(count * dim, self.out_dim, 1, bias=False)
        self.embed = nn.Sequential(
            nn.Conv2d(count * dim, self.out_dim, 1),
            nn.Conv2d(self.out_dim, self.out_dim, 3, padding=1, groups=self.out_dim),
            nn.ReLU(),
            nn.Conv2d(self.out_dim, self.out_dim, 1),
            nn.BatchNorm2d(self.out_dim),
        )
        self.norm = nn.BatchNorm2d(self.out_dim)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('CMXFusion', tokens, self.joint_mask(tokens, masks))
        size = require_grid('CMXFusion', grid)
        visible = None if real is None else torch.stack(real).any(dim=0)
        tokens = self.rectify(tokens, visible)
        parts = [layer.parts(x) for layer, x in zip(self.exchange, tokens)]  # type: ignore[operator,union-attr]  # ModuleList forgets the class
        contexts = torch.stack(
            [layer.context(u, visible) for layer, (_, u) in zip(self.exchange, parts)]  # type: ignore[operator,union-attr]  # as above
        )
        total = contexts.sum(dim=0)
        updated = [
            layer(x, kept, asking, (total - own) / (len(tokens) - 1))
            for layer, x, (kept, asking), own in zip(self.exchange, tokens, parts, contexts)
        ]
        joint = torch.cat(updated, dim=-1)
        if visible is not None:
            joint = joint * visible[..., None]
        maps = tokens_to_map(joint, size)
        fused = map_to_tokens(self.norm(self.residual(maps) + self.embed(maps)))
        return FusionOutput(fused, visible, latents=dict(zip(self.modalities, updated)))
