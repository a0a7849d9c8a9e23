"""GMU, gated multimodal unit: a learned gate decides, per channel, whom to believe.

    h_m = tanh(W_m x_m + b_m)
    z   = sigmoid(W_z [x_1; ...; x_M])
    y   = z * h_1 + (1 - z) * h_2            two modalities
        = sum_m z_m * h_m                    more than two, a gate for each

Source:
    Arevalo et al., GMU, ICLR 2017 workshop, https://arxiv.org/abs/1702.01992, Section 3.1.
Differs from its code (johnarevalo/gmu-mmimdb 95226b0):
    its gate reads the projections [W_1 x_1; W_2 x_2], before the tanh; here it reads the inputs,
    as the paper prints, which is the same function for square invertible W_m. Its projections have
    no bias, and it normalises every input by batch; here tokens come normalised or not, as the
    model has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.alignment import align
from mango_mm.fusion.fusion import Fusion, FusionOutput

__all__ = ['GatedFusion']


class GatedFusion(Fusion):
    """Gated multimodal unit at every position.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
    """

    def __init__(self, modalities: Sequence[str], dim: int, out_dim: int | None = None) -> None:
        super().__init__(modalities, dim, out_dim)
        count = len(self.modalities)
        if count < 2:
            raise ValueError(f'GMU needs two modalities; got {self.modalities}.')
        self.hidden = nn.ModuleList(nn.Linear(dim, self.out_dim) for _ in modalities)
        gates = 1 if count == 2 else count
        self.gate = nn.Linear(count * dim, gates * self.out_dim, bias=False)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('GatedFusion', tokens, self.joint_mask(tokens, masks))
        hidden = [torch.tanh(layer(x)) for layer, x in zip(self.hidden, tokens)]
        gates = torch.sigmoid(self.gate(torch.cat(tokens, dim=-1)))
        weights = [gates, 1 - gates] if len(tokens) == 2 else list(gates.chunk(len(tokens), dim=-1))
        fused = torch.stack([w * h for w, h in zip(weights, hidden)]).sum(dim=0)
        return FusionOutput(
            fused,
            None if real is None else torch.stack(real).any(dim=0),
            latents=dict(zip(self.modalities, hidden)),
            extras={'gates': dict(zip(self.modalities, weights))},
        )
