"""TokenFusion: uninformative tokens are replaced by those of another modality.

    s_m = softmax(MLP(LN(e_m)))_0                       score of each token, in (0, 1)
    y_m = s_m x_m          where s_m >= theta
        = s_k x_k          where s_m < theta            k another modality, same position
    loss = lambda * sum over modalities, samples and tokens of |s_m|

``TokenExchange`` is one such step. Inside a block (``BlockFusionBackbone``) e is the block's
input and x what its attention made of it, before the residual sum; at a neck (``TokenFusion``)
both are the token.

Source:
    Wang et al., TokenFusion, CVPR 2022, https://arxiv.org/abs/2204.08721, Eq. 4-7, and its
    release, yikaiw/TokenFusion 3834ccf: the scorer is LayerNorm and four linear layers, of D, D/2,
    D/4 and 2 channels, shared by the blocks of a stage; the loss is a sum, so that lambda (1e-4 in
    its code, 1e-6 in its command for MiT-B3) belongs to one image size and batch size.
Differs from it:
    with more than two modalities every position of m has one fixed k, dealt in turn, where the
    paper draws it at random; ``TokenFusion`` exchanges once, between backbone and head. The
    head's norms are private to each modality (``EnsembleHead``), the release shares them: it keeps
    them frozen, and a shared batch norm that learns sees other statistics in training than in a
    test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align
from mango_mm.fusion.block_fusion import BlockFusion
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['TokenExchange', 'TokenFusion']


class TokenExchange(BlockFusion):
    """Scores tokens and exchanges those below a threshold.

    Args:
        modalities: Their names, at least two.
        dim: Channels D, at least 4.
        threshold: theta.
        sparsity_weight: lambda.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        *,
        threshold: float = 0.02,
        sparsity_weight: float = 1e-4,
    ) -> None:
        super().__init__(modalities, dim)
        self.threshold, self.sparsity_weight = threshold, sparsity_weight
        self.scorers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim // 2),
                nn.GELU(), nn.Linear(dim // 2, dim // 4), nn.GELU(), nn.Linear(dim // 4, 2),
            )
            for _ in modalities
        )  # fmt: skip

    def scores(self, entered: Sequence[Tensor]) -> list[Tensor]:
        """Score of every token, (B, N, 1) of each modality, in (0, 1)."""
        return [score(x).softmax(dim=-1)[..., :1] for score, x in zip(self.scorers, entered)]

    def forward(
        self,
        features: Sequence[Tensor],
        *,
        entered: Sequence[Tensor] | None = None,
        scales: Sequence[Tensor] | None = None,
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        return self.exchange(features, self.scores(entered or features), masks)

    def exchange(
        self,
        features: Sequence[Tensor],
        scores: Sequence[Tensor],
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The exchange that given scores ask for."""
        scored = [x * s for x, s in zip(features, scores)]
        exchanged = [
            torch.where(s < self.threshold, _partner(scored, m), x)
            for m, (s, x) in enumerate(zip(scores, scored))
        ]
        seen = [s[..., 0] if masks is None else s[..., 0] * masks[m] for m, s in enumerate(scores)]
        total = torch.stack([s.sum() for s in seen]).sum()
        return exchanged, {'token_scores': self.sparsity_weight * total}


class TokenFusion(Fusion):
    """One token exchange between backbone and head.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens, at least 4.
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
        threshold: float = 0.02,
        sparsity_weight: float = 1e-4,
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        self.exchange = TokenExchange(
            self.modalities, dim, threshold=threshold, sparsity_weight=sparsity_weight
        )
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('TokenFusion', tokens, self.joint_mask(tokens, masks))
        scores = self.exchange.scores(tokens)
        exchanged, losses = self.exchange.exchange(tokens, scores, real)
        fused, mask = self.reduce(exchanged, real)
        return FusionOutput(
            fused, mask, latents=dict(zip(self.modalities, exchanged)),
            losses=losses, extras={'scores': dict(zip(self.modalities, scores))},
        )  # fmt: skip


def _partner(tokens: list[Tensor], m: int) -> Tensor:
    """At every position the token of the modality that m exchanges with there."""
    others = torch.stack([x for k, x in enumerate(tokens) if k != m])
    positions = torch.arange(others.shape[2], device=others.device)
    # (M-1, B, N, D) indexed at (n mod (M-1), :, n): positions come first.
    return others[positions % others.shape[0], :, positions].transpose(0, 1)
