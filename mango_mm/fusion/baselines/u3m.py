"""U3M: all modalities are joined at once, then seen at several scales.

    x     = W [x_1; ...; x_M]                                  no modality is privileged
    pool  = x + conv(sum over s in 1, 2, 3, 6 of up(dw1x1_s(avgpool_s(conv(x)))))
    local = conv(h + dw3x3(h) + dw5x5(h) + dw7x7(h)),  h = conv(x)
    fused = SE(gelu(W' (pool + local)))

with conv a 1 x 1 convolution and batch normalisation, and SE squeeze-and-excitation.

Source:
    Li et al., U3M, 2024, https://arxiv.org/abs/2405.15365, Section 3.2.
Differs from it:
    a map smaller than a pooled size is not enlarged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.alignment import align, require_grid
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map

__all__ = ['U3MFusion']

POOLS = (1, 2, 3, 6)
KERNELS = (3, 5, 7)


def _conv(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(dim, dim, 1, bias=False), nn.BatchNorm2d(dim))


class U3MFusion(Fusion):
    """Unbiased multiscale fusion, for maps.

    Args:
        modalities: Their names, with as many tokens each.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        squeeze: Reduction of the channel attention; at least one channel remains.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        squeeze: int = 16,
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        self.join = nn.Linear(len(self.modalities) * dim, dim)
        self.pool_in, self.pool_out = _conv(dim), _conv(dim)
        self.local_in, self.local_out = _conv(dim), _conv(dim)
        self.pools = nn.ModuleList(nn.Conv2d(dim, dim, 1, groups=dim) for _ in POOLS)
        self.locals = nn.ModuleList(
            nn.Conv2d(dim, dim, k, padding=k // 2, groups=dim) for k in KERNELS
        )
        self.project = nn.Linear(dim, self.out_dim)
        hidden = max(1, self.out_dim // squeeze)
        self.excite = nn.Sequential(
            nn.Linear(self.out_dim, hidden), nn.ReLU(), nn.Linear(hidden, self.out_dim),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('U3MFusion', tokens, self.joint_mask(tokens, masks))
        size = require_grid('U3MFusion', grid)
        visible = None if real is None else torch.stack(real).any(dim=0)
        joined = self.join(torch.cat(tokens, dim=-1))
        if visible is not None:
            joined = joined * visible[..., None]
        x = tokens_to_map(joined, size)
        both = map_to_tokens(x + self._pooled(x) + self._local(x))
        fused = F.gelu(self.project(both))
        if visible is None:
            average = fused.mean(dim=1)
        else:
            shown = visible[..., None]
            average = (fused * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)
        fused = fused * self.excite(average)[:, None]
        return FusionOutput(fused, visible, latents=dict(zip(self.modalities, tokens)))

    def _pooled(self, x: Tensor) -> Tensor:
        h, size = self.pool_in(x), x.shape[-2:]
        scales = []
        for side, conv in zip(POOLS, self.pools):
            pooled = F.adaptive_avg_pool2d(h, (min(side, size[0]), min(side, size[1])))
            scales.append(F.interpolate(conv(pooled), size, mode='bilinear'))
        merged: Tensor = self.pool_out(torch.stack(scales).sum(dim=0))
        return merged

    def _local(self, x: Tensor) -> Tensor:
        h = self.local_in(x)
        local: Tensor = self.local_out(h + torch.stack([conv(h) for conv in self.locals]).sum(0))
        return local
