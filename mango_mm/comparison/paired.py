"""How much better than a baseline, and how sure: differences paired by seed and by sample.

Two runs of one seed see the same samples in the same order, and are validated on the same ones, so
most of what makes their scores vary is common to both, and drops out of the difference. What is
left is resampled, seeds and samples each with replacement (Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, percentile intervals).

A bootstrap of n seeds is too sure of them: their deviations are those from their own mean, smaller
by sqrt((n - 1) / n), and so few have heavier tails than its percentiles. So deviations of seeds are
stretched by sqrt(n / (n - 1)) and by the ratio of Student's quantile to the normal one; one seed
says nothing of seeds, and its interval is of samples alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_mm.hosts import require_host

__all__ = ['Difference', 'PerSample', 'paired_difference', 'read_per_sample']

SAVED = 'per_sample.npz'


@dataclasses.dataclass(frozen=True)
class PerSample:
    """What a score of a set of samples is made of.

    Attributes:
        kind: ``'mIoU'``: ``parts`` are intersections and unions by class, (N, 2, C). ``'mean'``:
            the score is their mean as it is, (N, 1, 1). ``'macro_f1'``: true positives, and
            positives of labels and predictions together, by class, (N, 2, C).
        parts: Of every sample.
    """

    kind: str
    parts: NDArray[np.float64]

    def score(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the samples taken so and so many times, (R, N) to (R,); mIoU and F1 in percent."""
        count, _, classes = self.parts.shape
        sums = (weights @ self.parts.reshape(count, -1)).reshape(len(weights), -1, classes)
        if self.kind == 'mean':
            found = sums[:, 0, 0] / weights.sum(axis=1)
            return np.asarray(found)
        top, bottom = sums[:, 0], sums[:, 1]
        with np.errstate(invalid='ignore', divide='ignore'):
            ratio = (1 if self.kind == 'mIoU' else 2) * top / bottom
        if self.kind != 'mIoU':  # scikit-learn's zero_division=0
            ratio = np.nan_to_num(ratio)
        return np.asarray(100 * np.nanmean(ratio, axis=1))


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean difference to a baseline, with the 95 % interval, over so many seeds."""

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        alone = ', one seed' if self.seeds == 1 else ''
        return f'{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]{alone}'


def paired_difference(
    of: Mapping[int, PerSample],
    baseline: Mapping[int, PerSample],
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """The difference of two rows of a comparison.

    Args:
        of: By seed.
        baseline: By seed; the seeds that both have count.
        resamples: Bootstrap samples of seeds and samples.
        seed: Of the resampling.

    Raises:
        ValueError: If they have no seed in common, or their samples differ in number or kind.
    """
    common = sorted(set(of) & set(baseline))
    if not common:
        raise ValueError(f'no seed in common: {sorted(of)} and {sorted(baseline)}.')
    runs = [*(of[s] for s in common), *(baseline[s] for s in common)]
    kinds = {(r.kind, len(r.parts)) for r in runs}
    if len(kinds) > 1:
        raise ValueError(f'runs must be validated on the same samples; got {sorted(kinds)}.')
    count = len(runs[0].parts)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    weights = np.concatenate([np.ones((1, count)), drawn])
    by_seed = np.stack([of[s].score(weights) - baseline[s].score(weights) for s in common])
    seeds = rng.multinomial(len(common), np.full(len(common), 1 / len(common)), size=resamples)
    taken = len(common)
    # How seeds vary is seen on all samples: on resampled ones it is their noise once more.
    of_seeds = seeds @ by_seed[:, 0] / taken - by_seed[:, 0].mean()
    spread = by_seed[:, 1:].mean(axis=0) + _stretch(taken) * of_seeds
    low, high = np.quantile(spread, (0.025, 0.975))
    return Difference(float(by_seed[:, 0].mean()), float(low), float(high), len(common))


def _stretch(seeds: int) -> float:
    """By how much a bootstrap of so many seeds is too sure; 0 of one."""
    if seeds < 2:
        return 0.0
    require_host('scipy', 'paired differences over seeds')
    from scipy.stats import norm, t

    heavier = t.ppf(0.975, seeds - 1) / norm.ppf(0.975)
    return float(heavier * np.sqrt(seeds / (seeds - 1)))


def read_per_sample(folder: str | Path) -> PerSample | None:
    """What a run's last validation left in its work dir; None: nothing."""
    path = Path(folder) / SAVED
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return PerSample(str(stored['kind']), np.asarray(stored['parts'], np.float64))


def save_per_sample(folder: str | Path, metrics: Sequence[object]) -> None:
    """Keep what metrics of a run know of every sample; of those that have ``per_sample``."""
    for metric in metrics:
        found = getattr(metric, 'per_sample', None)
        if found is not None:
            kind, parts = found
            np.savez_compressed(Path(folder) / SAVED, kind=kind, parts=parts.astype(np.float32))
