"""MANGO: fusion by a normalizing flow of invertible cross-attention over all tokens.

    x = [LN(f_1), ..., LN(f_M)]         tokens of all modalities, LN without parameters
    z = G_L(... G_1(x))                 L blocks: MMCA, IMCA, LICA, coupling (mango_block.py)
    ln p(x) = ln N(z; 0, I) + ln|det dz/dx|
    fused = reduce(z_1, ..., z_M)

The flow is exactly invertible, so that z holds all that x did, and its density is
explicit. Training minimises the task's loss plus -ln p, per dimension and weighted by
whoever owns the loss (Eq. 13 leaves the weight open).

Without LN the density would have a trivial optimum: encoders that answer a constant.
LN leaves a way to it (one direction for all); ``detach_encoder`` closes it.

A modality that a sample lacks (its mask is false everywhere) is met in one of two ways:

    missing='mask'   its tokens take no part: ln p is that of the tokens there are, and what it
                     would have conditioned is conditioned by what remains. Exact, costs nothing.
    missing='impute' its tokens are those that the flow maps to the centre of the latent space,
                     z_m = 0, beside the observed ones; ln p is that of the completed sample.

Token grids larger than a layer can hold are cut into windows; the flow runs in each
with the same weights, and stays a bijection of the whole.

Shape letters: B batch, N_m tokens of modality m, D channels, E channels out.

Source:
    Truong et al., MANGO, NeurIPS 2025, https://arxiv.org/abs/2508.10133, Eq. 2, 7-13, Fig. 2.
Differs from it:
    two modalities of equal length become M of any lengths; the gate of ICA is bounded; missing
    modalities are not in the paper.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mango_mm.flows import Chain, FlowDensity, gaussian_log_prob, num_dims
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.imputation import Completed, complete
from mango_mm.fusion.mango_block import (
    LayerOptions,
    build_block,
    moves_per_token,
    resolve_recipe,
)
from mango_mm.fusion.reduction import Reduction
from mango_mm.fusion.token_layout import TokenLayout
from mango_mm.fusion.token_norm import Statistics, TokenNorm

__all__ = ['MangoFusion', 'MangoFusionOutput']

MUCH_MEMORY = 4 << 30  # bytes
MISSING = ('mask', 'impute')


@dataclasses.dataclass
class MangoFusionOutput(FusionOutput):
    """What :class:`MangoFusion` returns: all that its inverse needs, too.

    Attributes:
        joint_mask: Real tokens of all modalities, bool (B, sum N_m); None: all.
        grid: Height and width in tokens, of maps.
        statistics: Of the token normalisation; None without it.
        impute_residual: Root mean square of the latents of imputed tokens; None: there are none.
    """

    joint_mask: Tensor | None = None
    grid: tuple[int, int] | None = None
    statistics: list[Statistics] | None = None
    impute_residual: Tensor | None = None


class MangoFusion(Fusion):
    """The paper's fusion, exactly invertible, with an exact likelihood.

    More than ten arguments, because its blocks, its tokens and its output are three
    things a config must be able to set in one place.

    Args:
        modalities: Their names, in token order.
        dim: Channels D of every modality's tokens.
        num_tokens: Tokens of each modality, one number for all or one each. Not
            needed with ``window``.
        out_dim: Channels E of the fused feature; None: D.
        depth: Blocks L.
        recipe: A name in ``mango_block.RECIPES`` or a list of step names.
        layers: Options of the blocks' layers: fields of ``LayerOptions``.
        window: Side, or height and width, of the windows that a token grid is cut into.
        reduction: ``'concat'``, ``'sum'``, ``'sequence'`` or ``'embed'``: how z becomes one
            feature; see ``fusion/reduction.py``.
        normalize: Normalise every token before the flow; ``'restore'`` also gives each token its
            mean and deviation back before z becomes the fused feature. With gates that start at
            zero (``layers=dict(gate_init=0.0)``) the whole then starts as concatenation; ln p is
            that of the normalised tokens either way.
        detach_encoder: Keep the gradient of ``log_prob`` out of the encoders. Costs a
            second pass of the flow in training. Small encoders trained from scratch gained by it,
            pretrained ones that are trained on lost (docs/results.md).
        with_cp: Gradient checkpointing per block.
        missing: ``'mask'`` or ``'impute'``: see above.
        impute_steps: Rounds of ``'impute'``; each passes the flow forth and back, without gradient.

    Raises:
        ValueError: If neither or both of ``num_tokens`` and ``window`` are given, or a
            recipe or option is unknown.

    Example:
        >>> fusion = MangoFusion(('rgb', 'depth'), dim=8, num_tokens=6, depth=2)
        >>> x = {'rgb': torch.randn(3, 6, 8), 'depth': torch.randn(3, 6, 8)}
        >>> out = fusion(x)
        >>> out.fused.shape, out.log_prob.shape, out.latents['depth'].shape
        (torch.Size([3, 6, 8]), torch.Size([3]), torch.Size([3, 6, 8]))
        >>> bool(torch.allclose(fusion.inverse(out)['rgb'], x['rgb'], atol=1e-3))
        True
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        num_tokens: int | Sequence[int] | None = None,
        *,
        out_dim: int | None = None,
        depth: int = 12,
        recipe: str | Sequence[str] = 'paper',
        layers: Mapping[str, Any] | None = None,
        window: int | tuple[int, int] | None = None,
        reduction: str = 'concat',
        normalize: bool | str = True,  # noqa: FBT001  # a config's keyword
        detach_encoder: bool = False,
        with_cp: bool = False,
        missing: str = 'mask',
        impute_steps: int = 2,
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if missing not in MISSING or impute_steps < 1:
            raise ValueError(
                f'missing must be one of {MISSING} and impute_steps at least 1; '
                f'got {missing!r} and {impute_steps}.'
            )
        self.missing, self.impute_steps = missing, impute_steps
        self.layout = TokenLayout.build(self.modalities, num_tokens, window)
        self.lengths = self.layout.lengths
        if normalize not in (True, False, 'restore'):
            raise ValueError(f"normalize must be True, False or 'restore'; got {normalize!r}.")
        self.restore = normalize == 'restore'
        self.norm = TokenNorm(enabled=bool(normalize))
        self.detach_encoder = detach_encoder
        steps = resolve_recipe(recipe)
        _warn_of_memory(sum(self.lengths), len(steps) * depth)
        options = LayerOptions(**(layers or {})).with_gates_for(moves_per_token(steps, depth))
        self.flow = Chain(
            *(build_block(steps, dim, self.lengths, index, options) for index in range(depth)),
            with_cp=with_cp,
        )
        self.reduce = Reduction(len(self.modalities), dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> MangoFusionOutput:
        tokens, statistics = self.norm(self.check(features, masks))
        joint = self.joint_mask(tokens, masks)
        entered = self._enter(tokens, joint, grid)
        x, mask = entered.x, entered.mask
        z, log_det = self.flow(x, mask=mask)
        if self.detach_encoder and torch.is_grad_enabled():
            seen, log_det = self.flow(x.detach(), mask=mask)
        else:
            seen = z
        log_prob = gaussian_log_prob(seen, mask) + log_det
        latents = self.layout.unpack(z, grid)
        parts = self.layout.split_mask(entered.joint)
        statistics = _of_the_observed(statistics, self.layout.split_mask(joint))
        reduced = self.norm.undo(latents, statistics) if self.restore else latents
        fused, fused_mask = self.reduce(reduced, parts, grid)
        batch = tokens[0].shape[0]
        return MangoFusionOutput(
            fused=fused,
            mask=fused_mask,
            log_prob=log_prob.unflatten(0, (batch, -1)).sum(1),
            num_dims=num_dims(x, mask).unflatten(0, (batch, -1)).sum(1),
            latents=dict(zip(self.modalities, latents)),
            joint_mask=entered.joint,
            grid=grid,
            statistics=statistics,
            impute_residual=entered.residual(z),
        )

    @torch.no_grad()
    def log_prob_terms(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> dict[str, Tensor]:
        """What every token adds to ``log_prob``, in nats, (B, N_m) of each modality.

        All of them together are ``log_prob`` exactly. What a term is, and where its assignment
        to a token is an approximation: see ``mango_mm/flows/bijection.py``. No gradient.

        Args:
            features: The same as in :meth:`forward`.
            masks: The same as in :meth:`forward`.
            grid: The same as in :meth:`forward`.
        """
        tokens, _ = self.norm(self.check(features, masks))
        entered = self._enter(tokens, self.joint_mask(tokens, masks), grid)
        terms = FlowDensity(self.flow).log_prob_terms(entered.x, mask=entered.mask)
        parts = self.layout.unpack(terms[..., None], grid)
        return {m: part[..., 0] for m, part in zip(self.modalities, parts)}

    def inverse(self, output: MangoFusionOutput) -> dict[str, Tensor]:
        """The features of each modality, (B, N_m, D), that :meth:`forward` made its output of.

        Tokens that were imputed come back normalised: nothing says what they should be undone by.
        """
        x = self.decode(output.latents, joint_mask=output.joint_mask, grid=output.grid)
        tokens = self.norm.undo([x[m] for m in self.modalities], output.statistics)
        return dict(zip(self.modalities, tokens))

    def decode(
        self,
        latents: Mapping[str, Tensor],
        *,
        joint_mask: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> dict[str, Tensor]:
        """The normalised tokens of each modality from any latents: G^-1.

        Args:
            latents: (B, N_m, D) of each modality.
            joint_mask: Real tokens of all modalities, (B, sum N_m); None: all.
            grid: The same as in :meth:`forward`.
        """
        z, mask = self.layout.pack(self.check(latents, None), joint_mask, grid)
        x, _ = self.flow.inverse(z, mask=mask)
        return dict(zip(self.modalities, self.layout.unpack(x, grid)))

    def _enter(
        self, tokens: list[Tensor], joint: Tensor | None, grid: tuple[int, int] | None
    ) -> Completed:
        """Normalised tokens packed for the flow, and completed if this fusion does that."""
        rounds = self.impute_steps if self.missing == 'impute' else 0
        return complete(self.flow, self.layout, tokens, joint, grid, rounds)


def _of_the_observed(
    statistics: list[Statistics] | None, masks: list[Tensor] | None
) -> list[Statistics] | None:
    """Statistics with mean 0 and deviation 1 for the modalities that a sample lacks."""
    if statistics is None or masks is None:
        return statistics
    gone = [~mask.any(dim=1)[:, None, None] for mask in masks]
    return [
        (mean.masked_fill(g, 0.0), deviation.masked_fill(g, 1.0))
        for (mean, deviation), g in zip(statistics, gone)
    ]


def _warn_of_memory(tokens: int, steps: int) -> None:
    """Say what a training of so many tokens at once will take, before it is taken."""
    # Two triangular matrices over the tokens in every step; weights, gradients and Adam's two.
    needed = 2 * tokens**2 * steps * 4 * 4
    if needed > MUCH_MEMORY:
        warnings.warn(
            f'a flow over {tokens} tokens at once has triangular matrices of {tokens} x {tokens} '
            f'in each of its {steps} steps: training it takes about {needed / 2**30:.1f} GiB for '
            'weights, gradients and Adam alone. Set a smaller window, or fuse at a deeper stage.',
            stacklevel=3,
        )
