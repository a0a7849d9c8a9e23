"""Cross-attention: every modality queries all others, L times, then concatenation.

    x_m <- x_m + MHA(q = LN(x_m), kv = LN([x_k for k != m]))
    x_m <- x_m + MLP(LN(x_m))

All modalities of a block are updated from the block's input. This is the implicit
fusion that MANGO argues against, and the baseline it has to beat at equal size.

Source:
    Vaswani et al., https://arxiv.org/abs/1706.03762, in the two-stream form of Tsai et al.,
    MulT, https://arxiv.org/abs/1906.00295, Section 3.
Differs from MulT:
    keys and values come from the other modalities' current tokens, not from their
    lowest level; no temporal convolution and no self-attention after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['CrossAttentionFusion', 'CrossBlock', 'visible_keys']


class CrossBlock(nn.Module):
    """One modality's tokens (B, N, D) attend to a context (B, K, D), then a perceptron."""

    def __init__(self, dim: int, num_heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.project = nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim)
        )

    def forward(self, x: Tensor, context: Tensor, visible: Tensor | None) -> Tensor:
        k, v = self.key_value(self.norm_context(context)).chunk(2, dim=-1)
        q, k, v = (
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in (self.query(self.norm_query(x)), k, v)
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = x + self.project(attended.transpose(1, 2).flatten(2))
        updated: Tensor = x + self.perceptron(x)
        return updated


class CrossAttentionFusion(Fusion):
    """Transformer cross-attention between all modalities.

    Args:
        modalities: Their names, at least two.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        depth: Blocks.
        num_heads: Heads of every attention.
        hidden_dim: Width of the perceptrons; None: 2 D.
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
        depth: int = 2,
        num_heads: int = 4,
        hidden_dim: int | None = None,
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if len(self.modalities) < 2:
            raise ValueError(f'cross-attention needs two modalities; got {self.modalities}.')
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.blocks = nn.ModuleList(
            nn.ModuleList(CrossBlock(dim, num_heads, hidden_dim or 2 * dim) for _ in modalities)
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in modalities)
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        joint = self.joint_mask(tokens, masks)
        parts = None if joint is None else joint.split([x.shape[1] for x in tokens], dim=1)
        if parts is not None:  # padding may hold anything, NaN included
            tokens = [x.masked_fill(~real[..., None], 0.0) for x, real in zip(tokens, parts)]
        for block in self.blocks:
            tokens = [
                layer(
                    x,
                    torch.cat(_others(tokens, m), dim=1),
                    visible_keys(None if parts is None else _others(parts, m)),
                )
                for m, (layer, x) in enumerate(zip(block, tokens))  # type: ignore[call-overload]  # ModuleList forgets the class
            ]
        tokens = [norm(x) for norm, x in zip(self.norms, tokens)]
        fused, mask = self.reduce(tokens, parts)
        return FusionOutput(fused, mask, latents=dict(zip(self.modalities, tokens)))


def _others(items: Sequence[Tensor], m: int) -> list[Tensor]:
    return [item for k, item in enumerate(items) if k != m]


def visible_keys(parts: Sequence[Tensor] | None) -> Tensor | None:
    """Attention mask (B, 1, 1, keys) of masks (B, N) side by side, or None.

    A sample whose keys are all missing sees them, as zeros: a softmax over nothing is NaN.
    """
    if parts is None:
        return None
    real = torch.cat(list(parts), dim=1)
    return (real | ~real.any(dim=1, keepdim=True))[:, None, None]
