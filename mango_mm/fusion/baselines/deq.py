"""DEQ-Fusion: the fused feature is the equilibrium of a network that refines all modalities.

    x_f  = sum_m w_m x_m + b                                          scalars w_m, b
    z_m  <- GN(relu(GN(W2 relu(GN(W1 z_m)) + x_m) + z_m))              every modality
    z_f  <- GN(relu(W_f sum_m a_m * z_f + x_f)),  a_m = W_a (z_m + z_f)   and the fused feature
    output z_f at the fixed point, from 0 by Anderson acceleration

with z_m on the right of the second line the new one. Gradients come from the implicit
function theorem (``fusion/fixed_point.py``), and the mean square of the Jacobian is kept small.

Nothing makes the step a contraction: untrained, the solver stops at ``max_iter`` with a residual
of some per cent (``extras['residual']``), and then float32 rounding shows in the output.

Source:
    Ni et al., Deep Equilibrium Multimodal Fusion, https://arxiv.org/abs/2306.16645, Eq. 3-9.
Differs from it:
    it fuses one pooled vector of each modality, this one at every position; samples of a batch
    converge each by itself; GroupNorm falls back to fewer groups where 4 do not divide D; a linear
    layer takes z_f to the channels that the head wants. The weight of the Jacobian's penalty
    depends on the data in its release (jinhong-ni/DEQFusion b8c1d0f): .1 on MM-IMDB, which is the
    default here, 20 on BRCA, .01 on MOSI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.alignment import align
from mango_mm.fusion.fixed_point import AndersonSolver, fixed_point, jacobian_penalty
from mango_mm.fusion.fusion import Fusion, FusionOutput

__all__ = ['DEQFusion']


class _WeightedSum(nn.Module):
    """sum_m w_m x_m + b."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(count))
        self.bias = nn.Parameter(torch.zeros(1))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        return torch.einsum('m...,m->...', torch.stack(list(tokens)), self.weight) + self.bias


class _TokenGroupNorm(nn.GroupNorm):
    """Group normalisation of every token by itself, (..., D)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, x.shape[-1])).view_as(x)


class _Refine(nn.Module):
    """One step of one modality."""

    def __init__(self, dim: int, groups: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.norms = nn.ModuleList(_TokenGroupNorm(groups, dim) for _ in range(3))

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        inner = F.relu(self.norms[0](self.first(z)))
        inner = self.norms[1](self.second(inner) + x)
        refined: Tensor = self.norms[2](F.relu(inner + z))
        return refined


class DEQFusion(Fusion):
    """Deep equilibrium fusion at every position.

    Args:
        modalities: Their names, at least two, with as many tokens each.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.
        max_iter: Evaluations of the network at most, forward and backward.
        tolerance: Relative residual at which a sample is done.
        jacobian_weight: Weight of the Jacobian penalty, in training.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        out_dim: int | None = None,
        *,
        max_iter: int = 50,
        tolerance: float = 1e-4,
        jacobian_weight: float = 0.1,
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if len(self.modalities) < 2:
            raise ValueError(f'DEQ-Fusion needs two modalities; got {self.modalities}.')
        self.solver = AndersonSolver(max_iter=max_iter, tolerance=tolerance)
        self.jacobian_weight = jacobian_weight
        groups = math.gcd(4, dim)
        self.inject = _WeightedSum(len(self.modalities))
        self.refine = nn.ModuleList(_Refine(dim, groups) for _ in modalities)
        self.gate, self.mix = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.norm = _TokenGroupNorm(groups, dim)
        self.project = nn.Linear(dim, self.out_dim)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self.check(features, masks)
        tokens, real = align('DEQFusion', tokens, self.joint_mask(tokens, masks))
        # In half precision the iterates repeat long before the tolerance, and the solver's Gram
        # matrix becomes singular.
        with torch.autocast(tokens[0].device.type, enabled=False):
            tokens = [
                x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tokens
            ]
            return self._solve(tokens, real)

    def _solve(self, tokens: list[Tensor], real: list[Tensor] | None) -> FusionOutput:
        visible = None if real is None else torch.stack(list(real)).any(dim=0)
        fused_input = self.inject(tokens)

        def step(z: Tensor) -> Tensor:
            return self.step(z, tokens, fused_input, visible)

        start = tokens[0].new_zeros((tokens[0].shape[0], len(tokens) + 1, *tokens[0].shape[1:]))
        z, residual = fixed_point(step, start, self.solver)
        losses = {}
        if self.training and torch.is_grad_enabled() and self.jacobian_weight:
            penalty = self.jacobian_weight * jacobian_penalty(step, z)
            losses['jacobian'] = penalty
        return FusionOutput(
            self.project(z[:, -1]), visible,
            latents=dict(zip(self.modalities, z[:, :-1].unbind(1))), losses=losses,
            extras={'residual': residual},
        )  # fmt: skip

    def step(
        self, z: Tensor, tokens: Sequence[Tensor], fused_input: Tensor, visible: Tensor | None
    ) -> Tensor:
        """One step of all states, (B, M + 1, N, D): the modalities and, last, the fused one."""
        *own, fused = z.unbind(1)
        own = [refine(s, x) for refine, s, x in zip(self.refine, own, tokens)]
        gated = sum(self.gate(s + fused) * fused for s in own)
        fused = self.norm(F.relu(self.mix(gated) + fused_input))
        after = torch.stack([*own, fused], dim=1)
        return after if visible is None else after * visible[:, None, :, None]
