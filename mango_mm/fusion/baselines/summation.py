"""Summation: fused = W (x_1 + ... + x_M), fusion without a weight per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.reduction import Reduction

__all__ = ['SumFusion']


class SumFusion(Fusion):
    """Adds the tokens of all modalities, position by position, and projects them.

    Padded tokens count as zero. All modalities need the same number of tokens.

    Args:
        modalities: Their names.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
    """

    def __init__(self, modalities: Sequence[str], dim: int, out_dim: int | None = None) -> None:
        super().__init__(modalities, dim, out_dim)
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, 'sum')

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        joint = self.joint_mask(tokens, masks)
        latents = dict(zip(self.modalities, tokens))
        parts = None
        if joint is not None:
            parts = joint.split([x.shape[1] for x in tokens], dim=1)
            tokens = [x.masked_fill(~real[..., None], 0.0) for x, real in zip(tokens, parts)]
        fused, mask = self.reduce(tokens, parts)
        return FusionOutput(fused, mask, latents=latents)
