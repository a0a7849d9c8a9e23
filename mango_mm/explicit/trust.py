"""Which sensors work? The posterior over their states, from the exact likelihoods of one flow.

A sample's sensors are in an unknown state:

    ok         all work                         ln p(x)
    m apart    m's picture is a usual one,      ln p(x without m) + ln p(x_m)
               but not of what the others see
    m broken   m shows anything                 ln p(x without m) + ln q(x_m)

q broad. Against `ok` the log-odds are two differences that :class:`SensorDensity` knows exactly:

    m apart    -i_m(x),  i_m = ln p(x) - ln p(x without m) - ln p(x_m)
    m broken   -i_m(x) + [ln q(x_m) - ln p(x_m)]

so that *the information raises the alarm, and the modality's own likelihood lays the blame*. Of two
modalities the two `apart` are one state: from one frame nobody can tell which camera is frozen.
``sensor_states.state_log_odds`` is that rule; with the densities themselves it is Bayes'.

Likelihoods of thousands of dimensions are far too sure, and what breaks smoothly (a black frame) is
*more* likely than what works (Nalisnick et al., 2019). So each difference is judged by how usual
it is on clean samples that were not trained on: the density of states of Morningstar et al.
(AISTATS 2021, https://arxiv.org/abs/2006.09273). A statistic s with a Gaussian N(mu, C) there has
under a broken sensor the same Gaussian, wider by a factor `breadth`, r:

    ln q(s) - ln p(s) = d^2 / 2 (1 - 1 / r^2) - k ln r,     d^2 = (s - mu)' C^-1 (s - mu), k numbers

and the information counts only where it is less than usual. The prior odds of `ok` are set by the
conformal quantile of the clean samples' scores, each judged by what is usual of the others
(cross-conformal prediction, Vovk, 2015, https://arxiv.org/abs/1208.0806): on fresh clean samples
the alarm, P(ok | x) < 1/2, is false at about the stated ``rate``. No failure is ever shown to it.

Shape letters: B batch, M modalities, S states, W windows, U numbers of a modality's own statistic.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mango_mm.explicit.sensor_density import SensorDensity
from mango_mm.explicit.sensor_states import (
    anything_but_ok,
    probabilities,
    state_log_odds,
    state_names,
)
from mango_mm.explicit.usual import Usual, conformal_quantile, shrunk_gaussian, usual_of
from mango_mm.explicit.window_descriptor import WindowDescriptor, neighbours_of, smoothed

__all__ = ['SensorTrust', 'TrustOutput']

MOST = 5  # modalities: what is usual is kept for each of their 2^M subsets
FOLDS = 50  # of clean samples, at most, in which what is usual is set without those judged by it
UPPER = 8  # the most unusual eighth of the windows is a statistic of its own


@dataclasses.dataclass
class TrustOutput:
    """What :class:`SensorTrust` says of a batch.

    Attributes:
        states: P(state | x), (B, S), in the order of :attr:`SensorTrust.states`.
        trust: That each modality works and belongs to the others, (B, M), in [0, 1]. Where two do
            not belong together, each is the wrong one with the same probability.
        alarm: Whether P(ok | x) < 1/2, bool (B,).
        score: Log-odds of anything but ``ok``, (B,); the alarm is raised above 0.
        maps: As ``trust``, of every window, (B, M, h, w).
        shows: That a window shows a state if it is the sample's, each as likely before it is
            looked at, (B, S, h, w): a sensor may be broken in a part of what it sees. 1 of ``ok``.
    """

    states: Tensor
    trust: Tensor
    alarm: Tensor
    score: Tensor
    maps: Tensor
    shows: Tensor


class SensorTrust(nn.Module):
    """Windows' descriptors, their density, what is usual of it, and the posterior over states.

    Args:
        modalities: Their names; two to five.
        features: Numbers of a window, of all or of each modality:
            :func:`~mango_mm.explicit.window_descriptor.describe_windows` makes two per channel.
        grid: Windows along height and width.
        directions: Principal directions of a window that the flow learns.
        bands: Of the energy that they leave over.
        depth: Blocks of the flow.
        noise: See :class:`SensorDensity`.
        rate: False alarms on clean samples, at most.
        breadth: r, see above.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> trust = SensorTrust(('rgb', 'depth'), features=12, grid=(2, 3), directions=4)
        >>> clean = {m: torch.randn(60, 6, 12) for m in ('rgb', 'depth')}
        >>> trust.fit_descriptors(clean)
        >>> trust.calibrate(clean)
        >>> out = trust(clean)
        >>> out.states.shape, out.maps.shape, bool(out.alarm.float().mean() <= 0.05)
        (torch.Size([60, 4]), torch.Size([60, 2, 2, 3]), True)
    """

    descriptors: nn.ModuleDict
    calibrated: Tensor
    own_mean: Tensor
    own_precision: Tensor
    information_mean: Tensor
    information_deviation: Tensor
    prior: Tensor
    window_own: Tensor
    window_information: Tensor
    window_prior: Tensor
    neighbours: Tensor

    def __init__(
        self,
        modalities: Sequence[str],
        features: int | Mapping[str, int],
        grid: tuple[int, int],
        *,
        directions: int = 64,
        bands: int = 2,
        depth: int = 2,
        noise: float = 0.1,
        rate: float = 0.02,
        breadth: float = 5.0,
    ) -> None:
        super().__init__()
        self.modalities, self.grid = tuple(modalities), (int(grid[0]), int(grid[1]))
        count, windows = len(self.modalities), self.grid[0] * self.grid[1]
        if count > MOST or not breadth > 1 or not 0 < rate < 1:
            raise ValueError(
                f'trust is of at most {MOST} modalities, with breadth above 1 and rate in (0, 1); '
                f'got {count}, {breadth} and {rate}.'
            )
        self.rate, self.breadth = rate, breadth
        numbers = features if isinstance(features, Mapping) else dict.fromkeys(modalities, features)
        directions = min(directions, *numbers.values())
        self.descriptors = nn.ModuleDict(
            {m: WindowDescriptor(numbers[m], windows, directions, bands) for m in self.modalities}
        )
        self.density = SensorDensity(modalities, directions, self.grid, depth=depth, noise=noise)
        # Fitted apart (fit_trust), never by the losses of a task.
        self.density.requires_grad_(requires_grad=False)
        per_window, subsets = 1 + bands, 2**count
        own = 2 * per_window + 1 if windows > 1 else per_window
        for name, value in {
            'own_mean': torch.zeros(count, own),
            'own_precision': torch.eye(own).repeat(count, 1, 1),
            'information_mean': torch.zeros(subsets, count),
            'information_deviation': torch.ones(subsets, count),
            'prior': torch.zeros(subsets),
            'window_own': torch.ones(2, count, per_window),  # means and deviations
            'window_information': torch.ones(2, subsets, count),
            'window_prior': torch.zeros(subsets),
        }.items():
            self.register_buffer(name, value.double())
        self.register_buffer('calibrated', torch.zeros((), dtype=torch.bool))
        self.register_buffer('neighbours', neighbours_of(self.grid), persistent=False)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in the order of :attr:`TrustOutput.states`."""
        return state_names(self.modalities)

    def fit_descriptors(self, described: Mapping[str, Tensor]) -> None:
        """Set every modality's principal directions from windows of many samples, (N, W, F)."""
        for m in self.modalities:
            self._descriptor(m).fit(described[m])

    def _descriptor(self, modality: str) -> WindowDescriptor:
        return cast(WindowDescriptor, self.descriptors[modality])

    def tokens(self, described: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the flow learns of windows (B, W, F) of each modality, (B, W, D)."""
        return {m: descriptor(described[m])[0] for m, descriptor in self.descriptors.items()}

    @torch.no_grad()
    def calibrate(self, described: Mapping[str, Tensor]) -> None:
        """Set what is usual from clean samples that the model was not trained on.

        Args:
            described: (N, W, F) of each modality.

        Raises:
            ValueError: If they are too few for the stated rate, or not finite.
        """
        count = len(self.modalities)
        for m in self.modalities:
            if not described[m].isfinite().all():
                raise ValueError(f'clean samples must be finite; those of {m!r} are not.')
        first = described[self.modalities[0]]
        number, device = len(first), first.device
        conformal_quantile(torch.zeros(number), self.rate)  # says if they are too few
        everyone = 2**count - 1
        for bits in sorted(range(1, 2**count), key=lambda b: b != everyone):
            there = [bool(bits >> i & 1) for i in range(count)]
            present = torch.tensor([there], device=device).repeat(number, 1)
            own, information, windows = self._statistics(described, present)
            if bits == everyone:
                self._calibrate_own(own, windows)
                whole = own  # what a modality shows alone does not depend on the others
            usual = usual_of(whole, information)
            self.information_mean[bits] = usual.information_mean
            self.information_deviation[bits] = usual.information_deviation
            smooth = smoothed(information, self.neighbours)
            self.window_information[0, bits] = smooth.mean(dim=(0, 2))
            self.window_information[1, bits] = smooth.std(dim=(0, 2)).clamp(min=1e-12)
            scores = self._fresh_scores(whole, information, present)
            self.prior[bits] = conformal_quantile(scores, self.rate)
            odds = self._window_odds(windows, information, present)
            self.window_prior[bits] = anything_but_ok(odds).flatten().quantile(1 - self.rate)
        self.calibrated.fill_(value=True)

    def forward(
        self, described: Mapping[str, Tensor], present: Tensor | None = None
    ) -> TrustOutput:
        """The posterior of a batch, without gradient.

        A modality with a number that is not finite is broken, whatever else is seen.

        Args:
            described: Windows (B, W, F) of each modality.
            present: Which a sample has, bool (B, M); None: all.

        Raises:
            RuntimeError: If it is not calibrated.
        """
        if not self.calibrated:
            raise RuntimeError('this trust is not calibrated: call calibrate with clean samples.')
        device = described[self.modalities[0]].device.type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            return self._posterior({m: x.float() for m, x in described.items()}, present)

    def _posterior(self, described: Mapping[str, Tensor], present: Tensor | None) -> TrustOutput:
        first = described[self.modalities[0]]
        if present is None:
            present = torch.ones(first.shape[0], len(self.modalities), dtype=torch.bool)
        seen = present.to(first.device)
        finite = torch.stack(
            [described[m].isfinite().all(dim=(1, 2)) for m in self.modalities], dim=1
        )
        bad, good = seen & ~finite, seen & finite
        clean = {m: x.nan_to_num(0.0, 0.0, 0.0) for m, x in described.items()}
        own, information, windows = self._statistics(clean, good)
        bits = self._subset(good)
        odds = self._sample_odds(own, information, good)
        local = self._window_odds(windows, information, good)
        local[..., 1 : 1 + bad.shape[1]].masked_fill_(bad[:, None], torch.inf)
        shows = local.sigmoid()
        shows[..., 0] = 1.0
        odds[:, 1:] -= self.prior[bits][:, None]
        local[..., 1:] -= self.window_prior[bits][:, None, None]
        odds[:, 1 : 1 + bad.shape[1]].masked_fill_(bad, torch.inf)
        states, by_window = probabilities(odds), probabilities(local)
        score = anything_but_ok(odds)
        maps = self._trust(by_window, good[:, None]).transpose(1, 2).unflatten(2, self.grid)
        return TrustOutput(
            states=states.float(),
            trust=self._trust(states, good).float(),
            alarm=score > 0,
            score=score.float(),
            maps=maps.float(),
            shows=shows.transpose(1, 2).unflatten(2, self.grid).float(),
        )

    def _trust(self, states: Tensor, present: Tensor) -> Tensor:
        """That each modality works, (..., M), of states (..., S); 0 where it is not ``present``."""
        count = len(self.modalities)
        apart = states[..., 1 + count :]
        wrong = states[..., 1 : 1 + count] + (apart / 2 if apart.shape[-1] == 1 else apart)
        return ((1 - wrong).clamp(0, 1)).masked_fill(~present, 0.0)

    def _statistics(
        self, described: Mapping[str, Tensor], present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Own statistics (B, M, U), information (B, M, W) and own ones of windows (B, M, W, 1+E).

        Per dimension, in nats. Those of a sample: its windows' mean, the mean of the most unusual
        of them, and how much they differ from each other.
        """
        tokens, energies = {}, []
        for m, descriptor in self.descriptors.items():
            tokens[m], energy = descriptor(described[m])
            energies.append(energy)
        alone, information = self.density.log_probs(tokens, present)
        dim = tokens[self.modalities[0]].shape[2]
        windows = torch.cat([-alone[..., None] / dim, torch.stack(energies, dim=1)], dim=-1)
        means = windows.mean(dim=2)
        if windows.shape[2] > 1:
            most = max(1, windows.shape[2] // UPPER)
            upper = windows.topk(most, dim=2).values.mean(dim=2)
            variety = [self._descriptor(m).variety(described[m]) for m in self.modalities]
            own = torch.cat([means, upper, torch.stack(variety, dim=1)[..., None]], dim=-1)
        else:
            own = means
        return own.double(), information.double() / dim, windows.double()

    def _calibrate_own(self, own: Tensor, windows: Tensor) -> None:
        mean, precision = shrunk_gaussian(own)
        self.own_mean.copy_(mean)
        self.own_precision.copy_(precision)
        smooth = smoothed(windows, self.neighbours)
        self.window_own[0] = smooth.mean(dim=(0, 2))
        self.window_own[1] = smooth.std(dim=(0, 2)).clamp(min=1e-12)

    def _fresh_scores(self, own: Tensor, information: Tensor, present: Tensor) -> Tensor:
        """Scores of clean samples, each by what is usual of the others: as a new one is judged.

        By what is usual of all, itself included, each would be more usual than a new one, and the
        alarm false more often than stated.
        """
        number = len(own)
        scores = own.new_zeros(number)
        for fold in torch.arange(number, device=own.device).chunk(min(number, FOLDS)):
            others = torch.ones(number, dtype=torch.bool, device=own.device)
            others[fold] = False
            usual = usual_of(own[others], information[others])
            odds = self._sample_odds(own[fold], information[fold], present[fold], usual)
            scores[fold] = anything_but_ok(odds)
        return scores

    def _sample_odds(
        self, own: Tensor, information: Tensor, present: Tensor, usual: Usual | None = None
    ) -> Tensor:
        if usual is None:
            bits = self._subset(present)
            usual = Usual(
                self.own_mean, self.own_precision,
                self.information_mean[bits], self.information_deviation[bits],
            )  # fmt: skip
        lack = usual.information_mean - information.mean(dim=2)
        lack = (lack / usual.information_deviation).clamp(min=0)
        off = own - usual.own_mean
        distance = ((off[:, :, None] @ usual.own_precision)[:, :, 0] * off).sum(dim=2)
        return self._odds(lack, distance, own.shape[2], present)

    def _window_odds(self, windows: Tensor, information: Tensor, present: Tensor) -> Tensor:
        """As :meth:`_sample_odds`, of every window with its neighbours, (B, W, S)."""
        bits = self._subset(present)
        mean, deviation = (x[bits][..., None] for x in self.window_information)
        lack = (mean - smoothed(information, self.neighbours)) / deviation
        smooth = smoothed(windows, self.neighbours)
        mean, deviation = (x[:, None] for x in self.window_own)
        distance = ((smooth - mean) / deviation).square().sum(dim=-1)
        lack, distance = (x.transpose(1, 2) for x in (lack.clamp(min=0), distance))
        return self._odds(lack, distance, windows.shape[3], present[:, None])

    def _odds(self, lack: Tensor, distance: Tensor, numbers: int, present: Tensor) -> Tensor:
        """Log-odds against ``ok`` of what is lacking and of distances, (..., M) each."""
        share, width = (1 - self.breadth**-2) / 2, math.log(self.breadth)
        odds = state_log_odds(share * lack.square() - width, share * distance - numbers * width)
        count = len(self.modalities)
        gone = ~present.expand(*odds.shape[:-1], count)
        odds[..., 1 : 1 + count].masked_fill_(gone, -torch.inf)
        # Who is alone cannot be apart; of two, both must be there.
        alone = gone | (present.sum(dim=-1, keepdim=True) < 2)
        apart = alone.any(dim=-1, keepdim=True) if count == 2 else alone
        odds[..., 1 + count :].masked_fill_(apart, -torch.inf)
        return odds

    def _subset(self, present: Tensor) -> Tensor:
        """The number of the subset of modalities that is there, (B,)."""
        weights = 2 ** torch.arange(len(self.modalities), device=present.device)
        return (present.long() * weights).sum(dim=1)
