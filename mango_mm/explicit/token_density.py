"""Is this sample like those of the training? Densities of the tokens, together and apart.

One flow, fitted to the tokens that a trained model fuses, gives for a sample

    ln p(x_1, ..., x_M)     all modalities together
    ln p(x_m)               each alone: the others masked out of the flow, exactly
    i(x) = ln p(x_1, ..., x_M) - sum_m ln p(x_m)

i is the pointwise mutual information (for M > 2 the total correlation) of what the modalities
show. A sensor that fails alone makes it fall, even where its own picture is a likely one: a frozen
depth camera shows a plausible room, only not this one. A likelihood by itself misses that, and
misses smooth failures besides, because simple images are likely ones (Nalisnick et al., 2019).

So a sample is summed up by 2 M numbers per dimension, -ln p(x_m) and m's part of i, and its
*strangeness* is

    d^2 + M t |t|,   t = (mean of i - i) / (standard deviation of i)

d^2 the squared Mahalanobis distance from the training samples, as the density of states of
Morningstar et al. (AISTATS 2021, https://arxiv.org/abs/2006.09273) with one Gaussian: anything
unusual counts, in either direction. The second term is one-sided: modalities that tell less of
each other than usual are suspicious, those that tell more are not.

Tokens are normalised, and the mean of the training samples at each position is taken off: floors
are below and ceilings above in every frame, the wrong one too.

The flow is not the one that fuses: that one is trained for the task, and its likelihood is a
weak regulariser there. This one is fitted afterwards, likelihood alone, everything else frozen.

Shape letters: B batch, N_m tokens, D channels, M modalities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.mango import MangoFusion
from mango_mm.fusion.token_norm import TokenNorm
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map

__all__ = ['TokenDensity', 'normalised']

RECIPE = ('actnorm', 'channel_linear', 'coupling', 'cross_modal')


def normalised(x: Tensor) -> Tensor:
    """Every token with mean 0 and variance 1 over its channels."""
    return TokenNorm()([x])[0][0]


class TokenDensity(nn.Module):
    """A flow over the tokens of several modalities that also knows each one alone.

    Args:
        modalities: Their names, in token order; at least two.
        dim: Channels D of the tokens.
        num_tokens: The same as in :class:`~mango_mm.fusion.MangoFusion`.
        window: The same as in :class:`~mango_mm.fusion.MangoFusion`.
        grid: With ``window``: height and width of the token grid of the training; the means
            of its positions are resized to other grids. None: one window.
        depth: Blocks.
        recipe: Their steps. The default mixes channels and lets modalities condition each
            other; ICA mixes positions, which the density of a position gains little from.
        num_heads: Of the attentions.
        noise: Standard deviation of the noise added while fitting, in that of a normalised token.
            Those lie on a sphere, where a density would grow without bound.

    Example:
        >>> density = TokenDensity(('rgb', 'depth'), dim=8, num_tokens=6)
        >>> tokens = {'rgb': torch.randn(5, 6, 8), 'depth': torch.randn(5, 6, 8)}
        >>> density.loss(tokens).shape, density.statistics(tokens).shape
        (torch.Size([]), torch.Size([5, 4]))
    """

    mean: Tensor
    precision: Tensor
    spread: Tensor

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        num_tokens: int | Sequence[int] | None = None,
        *,
        window: tuple[int, int] | None = None,
        grid: tuple[int, int] | None = None,
        depth: int = 2,
        recipe: str | Sequence[str] = RECIPE,
        num_heads: int = 4,
        noise: float = 0.1,
    ) -> None:
        super().__init__()
        if len(modalities) < 2:
            raise ValueError(f'there must be two modalities or more; got {tuple(modalities)}.')
        self.options = dict(
            modalities=list(modalities), dim=dim, num_tokens=num_tokens, window=window, grid=grid,
            depth=depth, recipe=recipe if isinstance(recipe, str) else list(recipe),
            num_heads=num_heads, noise=noise,
        )  # fmt: skip
        self.noise = noise
        self.fusion = MangoFusion(
            modalities, dim, num_tokens, window=window, depth=depth, recipe=recipe,
            normalize=False, reduction='sequence', out_dim=1,
            layers=dict(num_heads=math.gcd(num_heads, dim), clamp=2.0),
        )  # fmt: skip
        self.fusion.reduce.requires_grad_(requires_grad=False)  # nothing is fused here
        place = grid or window
        self.grid = None if window is None or place is None else (place[0], place[1])
        for i, length in enumerate(self.fusion.layout.lengths):
            places = length if self.grid is None else self.grid[0] * self.grid[1]
            self.register_buffer(f'center_{i}', torch.zeros(places, dim))
        count = 2 * len(self.fusion.modalities)
        self.register_buffer('mean', torch.zeros(count, dtype=torch.float64))
        self.register_buffer('precision', torch.eye(count, dtype=torch.float64))
        self.register_buffer('spread', torch.ones((), dtype=torch.float64))  # of i per dimension

    def centred(
        self, tokens: Mapping[str, Tensor], grid: tuple[int, int] | None = None
    ) -> dict[str, Tensor]:
        """Normalised tokens without the mean of their positions, (B, N_m, D) each."""
        found = {}
        for i, m in enumerate(self.fusion.modalities):
            center = getattr(self, f'center_{i}')
            if self.grid is not None and grid is not None and tuple(grid) != self.grid:
                maps = tokens_to_map(center[None], self.grid)
                center = map_to_tokens(F.interpolate(maps, tuple(grid), mode='bilinear'))[0]
            found[m] = normalised(tokens[m]) - center
        return found

    @torch.no_grad()
    def center_on(self, means: Mapping[str, Tensor]) -> None:
        """Set the means of the positions, (N_m, D) each, of tokens as :func:`normalised`."""
        for i, m in enumerate(self.fusion.modalities):
            getattr(self, f'center_{i}').copy_(means[m])

    def loss(
        self,
        tokens: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Mean of -ln p per dimension over the joint density and every single one, in nats."""
        clean = self.centred(tokens, grid)
        noisy = {m: x + self.noise * torch.randn_like(x) for m, x in clean.items()}
        stacked, kept = self._views(noisy, masks)
        output = self.fusion(stacked, masks=kept, grid=grid)
        nll = output.nll_per_dim()
        if nll is None:
            raise RuntimeError('MangoFusion returned no likelihood.')
        return nll.mean()

    @torch.no_grad()
    def statistics(
        self,
        tokens: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """[-ln p(x_m) for every m, then m's part of i], in nats per dimension of m, (B, 2 M).

        m's part of i is what its tokens add to the joint ln p, minus ln p(x_m).
        """
        names = self.fusion.modalities
        clean = self.centred(tokens, grid)
        stacked, kept = self._views(clean, masks)
        terms = self.fusion.log_prob_terms(stacked, masks=kept, grid=grid)
        alone, information = [], []
        for index, m in enumerate(names):
            views = terms[m].sum(dim=1).chunk(len(names) + 1)
            dims = kept[m].chunk(len(names) + 1)[0].sum(dim=1).clamp(min=1) * clean[m].shape[2]
            alone.append(-views[index + 1] / dims)
            information.append((views[0] - views[index + 1]) / dims)
        return torch.stack([*alone, *information], dim=1).double()

    def calibrate(self, statistics: Tensor) -> None:
        """Set what is usual from the statistics of the training samples, (K, 2 M), K > 2 M.

        The covariance is shrunk after Ledoit and Wolf (scikit-learn).
        """
        from sklearn.covariance import LedoitWolf  # type: ignore[import-untyped]  # has none

        if len(statistics) <= statistics.shape[1] or not statistics.isfinite().all():
            raise ValueError(
                f'calibration needs more than {statistics.shape[1]} samples with finite '
                f'statistics; got {len(statistics)}.'
            )
        scale = statistics.std(dim=0).clamp(min=1e-12)  # shrinking assumes comparable units
        fitted = LedoitWolf().fit((statistics / scale).cpu().numpy())
        precision = torch.from_numpy(fitted.precision_).to(self.mean) / torch.outer(scale, scale)
        self.mean.copy_(statistics.mean(dim=0))
        self.precision.copy_(precision)
        # Modalities that tell nothing of each other spread by nothing.
        self.spread.copy_(self.information(statistics).std().clamp(min=1e-12))

    @staticmethod
    def information(statistics: Tensor) -> Tensor:
        """i per dimension, the mean of the modalities' parts, of statistics (B, 2 M), (B,)."""
        return statistics[:, statistics.shape[1] // 2 :].mean(dim=1)

    def strangeness(self, statistics: Tensor) -> Tensor:
        """How unlike the training samples the statistics (B, 2 M) are, (B,): see above.

        0 for a sample that is all padding.
        """
        given = statistics.to(self.mean)
        off = given - self.mean
        distance = torch.einsum('bi,ij,bj->b', off, self.precision, off)
        deficit = (self.information(self.mean[None]) - self.information(given)) / self.spread
        score = distance + len(self.fusion.modalities) * deficit * deficit.abs()
        # All padding: nothing was seen, so that nothing is strange.
        return torch.where((given == 0).all(dim=1), 0.0, score)

    def _views(
        self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The batch M + 1 times: whole, and with each modality alone. Tokens and masks."""
        names = self.fusion.modalities
        stacked, kept = {}, {}
        for index, m in enumerate(names):
            x = tokens[m]
            real = (masks or {}).get(m)
            real = x.new_ones(x.shape[:2], dtype=torch.bool) if real is None else real
            shown = [torch.ones_like(real)] + [
                torch.full_like(real, fill_value=other == index) for other in range(len(names))
            ]
            kept[m] = torch.cat([real & s for s in shown])
            stacked[m] = x.repeat(len(names) + 1, 1, 1).masked_fill(~kept[m][..., None], 0.0)
        return stacked, kept
