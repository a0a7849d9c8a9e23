"""Protocols of failing sensors, on what a model is given: standardised channels, 0 their mean.

==========  =====================================================================================
``'emm'``   entire-missing: every subset of the modalities is zeros
``'rmm'``   random-missing: in every subset each value is zero with probability .25, .5 or .75
``'nm'``    noisy: on all, salt and pepper on 5, 10 or 20 % of the values, then a Gaussian of
            deviation .1, .2 or .5
``'part'``  ours: a quarter of the frame, another one in every sample, is zero in one modality
==========  =====================================================================================

Source:
    Liao et al., Benchmarking Multi-modal Semantic Segmentation under Sensor Failures, 2025,
    https://arxiv.org/abs/2503.18445, and its release.
Differs from it:
    salt and pepper take the extremes of a modality of the sample, and not those of a batch; event
    frames are a modality as any other.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ['PROTOCOLS', 'Failure', 'expectation', 'failures_of', 'mean_of']

PROTOCOLS = ('emm', 'rmm', 'nm', 'part')
RATES = (0.25, 0.5, 0.75)
NOISE = ((0.05, 0.1), (0.1, 0.2), (0.2, 0.5))


@dataclasses.dataclass(frozen=True)
class Failure:
    """One way in which sensors fail.

    Attributes:
        name: For tables.
        protocol: One of :data:`PROTOCOLS`.
        broken: The modalities that fail.
        share: Of values that are zero, or salt and pepper.
        deviation: Of the Gaussian noise.
    """

    name: str
    protocol: str
    broken: tuple[str, ...]
    share: float
    deviation: float = 0.0

    def apply(self, inputs: Tensor, channels: Mapping[str, int], seed: int = 0) -> Tensor:
        """Broken inputs, (B, C, H, W); those that were given stay as they are.

        Args:
            inputs: Standardised.
            channels: Of every modality, in the order in which they are stacked.
            seed: Of what is random.
        """
        generator = torch.Generator().manual_seed(seed)
        found, start = inputs.clone(), 0
        for modality, count in channels.items():
            part = found[:, start : start + count]
            start += count
            if modality not in self.broken:
                continue
            if self.protocol == 'part':
                size = (int(part.shape[2]), int(part.shape[3]))
                part.masked_fill_(self.region(len(part), size, seed)[:, None].to(part.device), 0.0)
                continue
            draws = torch.rand(part.shape, generator=generator).to(part)
            if self.protocol != 'nm':
                part[draws < self.share] = 0.0
                continue
            top = part.amax(dim=(1, 2, 3), keepdim=True).expand_as(part)
            low = part.amin(dim=(1, 2, 3), keepdim=True).expand_as(part)
            salted = torch.where(draws < self.share / 2, top, part)
            salted = torch.where(draws > 1 - self.share / 2, low, salted)
            noise = torch.randn(part.shape, generator=generator).to(part)
            part.copy_(salted + self.deviation * noise)
        return found

    @staticmethod
    def region(batch: int, size: tuple[int, int], seed: int = 0) -> Tensor:
        """Where ``'part'`` breaks a modality, bool (B, H, W).

        Args:
            batch: B.
            size: H and W: whole pixels, or windows; the same quarters of the frame.
            seed: As of :meth:`apply`.
        """
        corners = torch.randint(2, (batch, 2), generator=torch.Generator().manual_seed(seed))
        rows, columns = (_corner(n, half.bool()) for n, half in zip(size, corners.T))
        return rows[:, :, None] & columns[:, None]


def _corner(count: int, half: Tensor) -> Tensor:
    """The first or the second half of so many rows, bool (B, count)."""
    place = torch.arange(count)[None] * 2 >= count
    return place == half[:, None]


def failures_of(protocol: str, modalities: Sequence[str]) -> list[Failure]:
    """The failures of a protocol.

    Raises:
        ValueError: If there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f'protocol must be one of {PROTOCOLS}; got {protocol!r}.')
    names = tuple(modalities)
    if protocol == 'nm':
        return [
            Failure(f'noise {deviation}', 'nm', names, share, deviation)
            for share, deviation in NOISE
        ]
    if protocol == 'part':
        return [Failure(f'quarter of {m}', 'part', (m,), 0.25) for m in names]
    subsets = [s for size in range(1, len(names) + 1) for s in itertools.combinations(names, size)]
    if protocol == 'emm':
        subsets = [s for s in subsets if len(s) < len(names)]
        return [Failure(f'no {" + ".join(s)}', 'emm', s, 1.0) for s in subsets]
    return [Failure(f'{r:.0%} of {" + ".join(s)}', 'rmm', s, r) for r in RATES for s in subsets]


def mean_of(scores: Mapping[Failure, float]) -> float:
    """The mean over failures, all alike."""
    return sum(scores.values()) / len(scores)


def expectation(
    clean: float, scores: Mapping[Failure, float], modalities: int, rate: float
) -> float:
    """The expected score if every modality fails on its own with probability ``rate``.

    Over the subsets that were scored and the clean samples, normalised.

    Args:
        clean: Score without a failure.
        scores: Of one severity: one per subset.
        modalities: How many there are.
        rate: In (0, 1).
    """
    weights = {
        f: rate ** len(f.broken) * (1 - rate) ** (modalities - len(f.broken)) for f in scores
    }
    whole = (1 - rate) ** modalities
    total = whole + sum(weights.values())
    return (whole * clean + sum(weights[f] * scores[f] for f in scores)) / total
