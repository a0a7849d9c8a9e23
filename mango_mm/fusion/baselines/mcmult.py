"""MCMulT: every level of one modality attends to all levels, so far, of the others.

    x_t^0 = x_t
    x_t^l = Block(x_t^(l-1);  keys and values: [x_s^0, ..., x_s^(l-1) for all s != t])
    z_t   = self-attention(x_t^L)

MulT's cross-modal transformers read the lowest level of the source alone; here both
hierarchies grow together, level by level, and each reads what the other has built.

Source:
    Ma et al., MCMulT, https://arxiv.org/abs/2206.07981. Only its abstract was at hand: it says that
    features of several levels of the source feed each cross-modal transformer, cooperatively.
Decided here:
    all levels side by side as keys, one learned vector per level added to them; a block is
    CrossAttentionFusion's; one self-attention layer at the end; the tokens of all modalities are
    kept, where MulT classifies the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.baselines.cross_attention import CrossBlock, visible_keys
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['MCMulTFusion']


class MCMulTFusion(Fusion):
    """Multi-level cooperative cross-modal transformer.

    Args:
        modalities: Their names, at least two, of any lengths.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        depth: Levels L.
        num_heads: Heads of every attention.
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
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if len(self.modalities) < 2:
            raise ValueError(f'MCMulT needs two modalities; got {self.modalities}.')
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.levels = nn.ModuleList(
            nn.ModuleList(CrossBlock(dim, num_heads, 2 * dim) for _ in modalities)
            for _ in range(depth)
        )
        self.level_marks = nn.Embedding(depth, dim)
        self.last = nn.ModuleList(CrossBlock(dim, num_heads, 2 * dim) for _ in modalities)
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
        count = len(tokens)
        history = [tokens]
        for blocks in self.levels:
            marked = [
                [x + self.level_marks.weight[level] for x in at] for level, at in enumerate(history)
            ]
            current = []
            for t in range(count):
                keys = [at[s] for at in marked for s in range(count) if s != t]
                shown = None
                if parts is not None:
                    shown = [parts[s] for _ in history for s in range(count) if s != t]
                current.append(
                    blocks[t](history[-1][t], torch.cat(keys, dim=1), visible_keys(shown))  # type: ignore[index]  # ModuleList forgets the class
                )
            history.append(current)
        outputs = [
            norm(block(x, x, visible_keys(None if parts is None else [parts[t]])))
            for t, (norm, block, x) in enumerate(zip(self.norms, self.last, history[-1]))
        ]
        fused, mask = self.reduce(outputs, parts)
        return FusionOutput(
            fused, mask, latents=dict(zip(self.modalities, outputs)), extras={'levels': history}
        )
