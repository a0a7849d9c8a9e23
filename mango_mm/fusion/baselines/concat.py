"""Concatenation: fused = W [x_1; ...; x_M], the plainest fusion that can be learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['ConcatFusion']


class ConcatFusion(Fusion):
    """Concatenates the channels of all modalities and projects them.

    Args:
        modalities: Their names.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        reduction: ``'concat'``, or ``'sequence'`` where token counts differ.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        reduction: str = 'concat',
    ) -> None:
        super().__init__(modalities, dim, out_dim)
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
        fused, mask = self.reduce(tokens, parts)
        return FusionOutput(fused, mask, latents=dict(zip(self.modalities, tokens)))
