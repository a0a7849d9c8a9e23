"""One flow that knows ln p of all sensors together, of each alone, and of all but one.

A modality is masked out of the flow exactly (``fusion/mango.py``), so that one set of weights,
fitted to all of these views at once, has the evidence of every hypothesis on which sensors work:

    alone_m        ln p(x_m)
    information_m  ln p(x) - ln p(x without m) - ln p(x_m): what m and the others tell of each other

A sensor that fails takes the information away even where its own picture is a likely one: a frozen
camera shows a plausible room, only not this one. Of two modalities the two informations are one.

Shape letters: B batch, M modalities, W windows, D channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mango_mm.fusion.mango import MangoFusion

__all__ = ['SensorDensity']

RECIPE = ('actnorm', 'channel_linear', 'coupling', 'cross_modal')


class SensorDensity(nn.Module):
    """A flow over the whitened windows of several modalities.

    Unlike :class:`~mango_mm.explicit.TokenDensity` it normalises no token: how far a window is
    from the usual one is what is asked for.

    Args:
        modalities: Their names; at least two.
        dim: Channels D of a window.
        grid: Windows along height and width.
        depth: Blocks.
        num_heads: Of the attentions between modalities.
        noise: Standard deviation of the noise added while fitting, in that of a whitened token.

    Raises:
        ValueError: If there are fewer than two modalities.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        dim: int,
        grid: tuple[int, int],
        *,
        depth: int = 2,
        num_heads: int = 4,
        noise: float = 0.1,
    ) -> None:
        super().__init__()
        if len(modalities) < 2:
            raise ValueError(f'there must be two modalities or more; got {tuple(modalities)}.')
        self.modalities, self.grid, self.noise = tuple(modalities), grid, noise
        self.flow = MangoFusion(
            modalities, dim, window=grid, depth=depth, recipe=RECIPE, normalize=False,
            reduction='sequence', out_dim=1,
            layers=dict(num_heads=math.gcd(num_heads, dim), clamp=2.0),
        )  # fmt: skip

    @property
    def views(self) -> tuple[frozenset[str], ...]:
        """The sets of modalities whose ln p is asked for: all, each alone, all but each."""
        names = self.modalities
        alone = [frozenset([m]) for m in names]
        without = [frozenset(names) - {m} for m in names] if len(names) > 2 else []
        return (frozenset(names), *alone, *without)

    def loss(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Mean of -ln p per dimension over all views, in nats.

        Args:
            tokens: (B, W, D) of each modality.
        """
        noisy = {m: tokens[m] + self.noise * torch.randn_like(tokens[m]) for m in self.modalities}
        stacked, kept = self._stacked(noisy, None)
        nll = self.flow(stacked, masks=kept, grid=self.grid).nll_per_dim()
        if nll is None:
            raise RuntimeError('MangoFusion returned no likelihood.')
        return nll.mean()

    def log_probs(
        self, tokens: Mapping[str, Tensor], present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """ln p of each alone, and the information of each, of every window, in nats.

        All windows together they are those of the sample, exactly; what is a window's is an
        assignment (``mango_mm/flows/bijection.py``). No gradient.

        Args:
            tokens: (B, W, D) of each modality.
            present: Which a sample has, bool (B, M); None: all. What it lacks has 0 of both.

        Returns:
            (B, M, W) each.
        """
        stacked, kept = self._stacked(tokens, present)
        terms = self.flow.log_prob_terms(stacked, masks=kept, grid=self.grid)
        views = torch.stack([terms[m] for m in self.modalities]).unflatten(
            1, (len(self.views), -1)
        )  # (M, V, B, W)
        count = len(self.modalities)
        together = views[:, 0].sum(dim=0)
        alone = torch.stack([views[i, 1 + i] for i in range(count)])
        if count == 2:
            others = alone.flip(0)
        else:
            others = torch.stack([views[:, 1 + count + i].sum(dim=0) for i in range(count)])
        information = together - others - alone
        alone, information = alone.transpose(0, 1), information.transpose(0, 1)
        if present is not None:  # nothing to be told, and no other to tell it to
            seen = present.to(alone.device)
            alone = alone.masked_fill(~seen[..., None], 0.0)
            several = seen & (seen.sum(dim=1, keepdim=True) > 1)
            information = information.masked_fill(~several[..., None], 0.0)
        return alone, information

    def _stacked(
        self, tokens: Mapping[str, Tensor], present: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The batch once per view, (V B, W, D), and what is seen of it, (V B, W)."""
        stacked, kept = {}, {}
        for index, m in enumerate(self.modalities):
            x = tokens[m]
            real = x.new_ones(x.shape[:2], dtype=torch.bool)
            if present is not None:
                real = real & present[:, index, None].to(x.device)
            kept[m] = torch.cat([real & (m in view) for view in self.views])
            repeated = x.repeat(len(self.views), 1, 1)
            stacked[m] = repeated.masked_fill(~kept[m][..., None], 0.0)
        return stacked, kept
