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
    missing='infer'  its tokens are those that the flow maps to the centre of the latent space,
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

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows import Chain, FlowDensity, gaussian_log_prob, num_dims
from mango_mm.fusion.fusion import Fusion, FusionOutput
from mango_mm.fusion.mango_block import (
    LayerOptions,
    build_block,
    moves_per_token,
    resolve_recipe,
)
from mango_mm.fusion.reduction import Reduction
from mango_mm.fusion.tokens import merge_windows, split_windows, window_mask

__all__ = ['MangoFusion']

EPS = 1e-5  # of the token normalisation
MISSING = ('mask', 'infer')


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
        normalize: Normalise every token before the flow.
        detach_encoder: Keep the gradient of ``log_prob`` out of the encoders. Costs a
            second pass of the flow in training.
        with_cp: Gradient checkpointing per block.
        missing: ``'mask'`` or ``'infer'``: see above.
        infer_steps: Rounds of ``'infer'``; each passes the flow forth and back, without gradient.

    Raises:
        ValueError: If neither or both of ``num_tokens`` and ``window`` are given, or a
            recipe or option is unknown.

    Example:
        >>> fusion = MangoFusion(('rgb', 'depth'), dim=8, num_tokens=6, depth=2)
        >>> out = fusion({'rgb': torch.randn(3, 6, 8), 'depth': torch.randn(3, 6, 8)})
        >>> out.fused.shape, out.log_prob.shape, out.latents['depth'].shape
        (torch.Size([3, 6, 8]), torch.Size([3]), torch.Size([3, 6, 8]))
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
        normalize: bool = True,
        detach_encoder: bool = False,
        with_cp: bool = False,
        missing: str = 'mask',
        infer_steps: int = 2,
    ) -> None:
        super().__init__(modalities, dim, out_dim)
        if missing not in MISSING or infer_steps < 1:
            raise ValueError(
                f'missing must be one of {MISSING} and infer_steps at least 1; '
                f'got {missing!r} and {infer_steps}.'
            )
        self.missing, self.infer_steps = missing, infer_steps
        if (num_tokens is None) == (window is None):
            raise ValueError(
                'give either num_tokens (a fixed size) or window (any size of token grid); '
                f'got num_tokens={num_tokens} and window={window}.'
            )
        if isinstance(window, int):
            window = (window, window)
        if window is not None:
            num_tokens = window[0] * window[1]
            window = (window[0], window[1])  # a config gives a list
        count = len(self.modalities)
        lengths = (num_tokens,) * count if isinstance(num_tokens, int) else num_tokens
        self.lengths = tuple(lengths or ())
        if len(self.lengths) != count or min(self.lengths) < 1:
            raise ValueError(
                f'num_tokens must be positive, for each of {self.modalities}; got {num_tokens}.'
            )
        self.window, self.normalize, self.detach_encoder = window, normalize, detach_encoder
        steps = resolve_recipe(recipe)
        options = LayerOptions(**(layers or {})).with_gates_for(moves_per_token(steps, depth))
        self.flow = Chain(
            *(build_block(steps, dim, self.lengths, index, options) for index in range(depth)),
            with_cp=with_cp,
        )
        self.reduce = Reduction(count, dim, self.out_dim, reduction)

    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        tokens = self._floats(features, masks)
        extras: dict[str, Any] = {}
        if self.normalize:
            extras['statistics'] = {m: _statistics(x) for m, x in zip(self.modalities, tokens)}
        joint = self.joint_mask(tokens, masks)
        x, mask, joint, free = self._complete(self._normalized(tokens), joint, grid)
        z, log_det = self.flow(x, mask=mask)
        if self.detach_encoder and torch.is_grad_enabled():
            seen, log_det = self.flow(x.detach(), mask=mask)
        else:
            seen = z
        log_prob = gaussian_log_prob(seen, mask) + log_det
        latents = self.leave(z, grid)
        if free is not None:
            extras['infer_residual'] = z.detach()[free.expand_as(z)].square().mean().sqrt()
        fused, fused_mask = self.reduce(latents, self._split_mask(joint), grid)
        batch = tokens[0].shape[0]
        return FusionOutput(
            fused=fused,
            mask=fused_mask,
            log_prob=log_prob.unflatten(0, (batch, -1)).sum(1),
            num_dims=num_dims(x, mask).unflatten(0, (batch, -1)).sum(1),
            latents=dict(zip(self.modalities, latents)),
            extras=extras,
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
            features: As in :meth:`forward`.
            masks: As in :meth:`forward`.
            grid: As in :meth:`forward`.
        """
        tokens = self._normalized(self._floats(features, masks))
        x, mask, *_ = self._complete(tokens, self.joint_mask(tokens, masks), grid)
        terms = FlowDensity(self.flow).log_prob_terms(x, mask=mask)
        parts = self.leave(terms[..., None], grid)
        return {m: part[..., 0] for m, part in zip(self.modalities, parts)}

    def inverse(
        self,
        latents: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
        statistics: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    ) -> dict[str, Tensor]:
        """The features of each modality from the latents.

        Args:
            latents: (B, N_m, D) of each modality.
            masks: As in :meth:`forward`.
            grid: As in :meth:`forward`.
            statistics: ``extras['statistics']`` of the forward, to undo the token
                normalisation too; None: normalised tokens are returned.
        """
        tokens = self.check(latents, masks)
        z, mask = self.enter(tokens, self.joint_mask(tokens, masks), grid)
        x, _ = self.flow.inverse(z, mask=mask)
        features = dict(zip(self.modalities, self.leave(x, grid)))
        if statistics is None:
            return features
        return {m: x * statistics[m][1] + statistics[m][0] for m, x in features.items()}

    def _floats(
        self, features: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
    ) -> list[Tensor]:
        """The tokens that came in, checked, in float32 at least."""
        return [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
                for x in self.check(features, masks)]  # fmt: skip

    def _normalized(self, tokens: list[Tensor]) -> list[Tensor]:
        """Every token normalised by itself, if this fusion does that."""
        if not self.normalize:
            return tokens
        return [F.layer_norm(x, (self.dim,), eps=EPS) for x in tokens]

    def enter(
        self, tokens: list[Tensor], mask: Tensor | None, grid: tuple[int, int] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens of all modalities in one sequence, per window if there are any."""
        if self.window is None:
            lengths = tuple(x.shape[1] for x in tokens)
            if lengths != self.lengths:
                raise ValueError(
                    f'this MangoFusion was built for {self.lengths} tokens of {self.modalities}; '
                    f'got {lengths}. Resize the input, or build it with window=...'
                )
            return torch.cat(tokens, dim=1), mask
        if grid is None or any(x.shape[1] != grid[0] * grid[1] for x in tokens):
            raise ValueError(
                'windows need grid=(height, width) with height * width tokens of each modality; '
                f'got grid {grid} and {[x.shape[1] for x in tokens]} tokens.'
            )
        windows = [split_windows(x, grid, self.window) for x in tokens]
        parts = mask.split([x.shape[1] for x in tokens], dim=1) if mask is not None else None
        batch, device = tokens[0].shape[0], tokens[0].device
        cut = [
            window_mask(parts[i] if parts else None, batch, grid, self.window, device)
            for i in range(len(tokens))
        ]
        real = [m for m in cut if m is not None]
        return torch.cat(windows, dim=1), torch.cat(real, dim=1) if real else None

    def _complete(
        self, tokens: list[Tensor], joint: Tensor | None, grid: tuple[int, int] | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """As :meth:`enter`, with absent modalities inferred if this fusion does that.

        The third is the joint mask, in which what was inferred is real; the fourth marks that.
        """
        parts = self._split_mask(joint)
        gone = [~part.any(dim=1, keepdim=True) for part in parts or ()]
        if self.missing == 'mask' or not any(bool(g.any()) for g in gone):
            return *self.enter(tokens, joint, grid), joint, None
        absent = [g.expand(part.shape) for g, part in zip(gone, parts or ())]
        whole = torch.cat([part | a for part, a in zip(parts or (), absent)], dim=1)
        blank = [x.masked_fill(a[..., None], 0.0) for x, a in zip(tokens, absent)]
        x, mask = self.enter(blank, whole, grid)
        # Where the absent tokens lie among the windows: put through them like tokens.
        marks = [a[..., None].to(x.dtype) for a in absent]
        free = self.enter(marks, None, grid)[0] > 0
        return self.infer(x, free, mask), mask, whole, free

    @torch.no_grad()
    def infer(self, x: Tensor, free: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens for the places marked ``free``, such that the flow maps them to 0.

        z = G(x); z_free <- 0; x_free <- G^-1(z)_free, ``infer_steps`` times over. A fixed point
        of it has z_free = 0 beside the observed tokens. Nothing makes the step a contraction:
        how far from it the flow was left is ``extras['infer_residual']`` of :meth:`forward`, the
        root mean square of z_free.

        Args:
            x: All tokens, as they enter the flow, (B, N, D).
            free: Those to infer, bool (B, N, 1).
            mask: Real tokens, (B, N).
        """
        for _ in range(self.infer_steps):
            z, _ = self.flow(x, mask=mask)
            completed, _ = self.flow.inverse(z.masked_fill(free, 0.0), mask=mask)
            x = torch.where(free, completed, x)
        return x

    def leave(self, x: Tensor, grid: tuple[int, int] | None) -> list[Tensor]:
        """The tokens of each modality, (B, N_m, C), out of one sequence: undoes :meth:`enter`."""
        parts = list(x.split(self.lengths, dim=1))
        if self.window is None or grid is None:
            return parts
        return [merge_windows(part, grid, self.window) for part in parts]

    def _split_mask(self, joint: Tensor | None) -> list[Tensor] | None:
        if joint is None:
            return None
        each = joint.shape[1] // len(self.modalities)
        lengths = self.lengths if self.window is None else (each,) * len(self.modalities)
        return list(joint.split(lengths, dim=1))


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each token as layer_norm takes them, (B, N, 1)."""
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
    return mean, (variance + EPS).sqrt()
