"""Distances between two sets of features: Frechet (FID) and kernel (KID).

    Frechet   |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x^1/2 C_y C_x^1/2)^1/2)
    kernel    unbiased MMD^2 with k(a, b) = (a . b / d + 1)^3

They are called FID and KID only where the features are those of the Inception network of
the first paper; on any other extractor they are distances on that extractor's features.

The trace of the root is the sum of the roots of the eigenvalues of a symmetric matrix: real
and non-negative by construction, where the root of C_x C_y is complex by rounding.

Shape letters: n and m samples, d features.

Source:
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017,
    https://arxiv.org/abs/1706.08500, Eq. 6; Binkowski et al., Demystifying MMD GANs,
    ICLR 2018, https://arxiv.org/abs/1801.01401, Section 4 and Eq. 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['frechet_distance', 'frechet_from_moments', 'kernel_distance']

Array = NDArray[np.float64]


def frechet_from_moments(mean_x: Array, cov_x: Array, mean_y: Array, cov_y: Array) -> float:
    """Frechet distance of two Gaussians, squared, as FID is.

    Args:
        mean_x: (d,).
        cov_x: (d, d), symmetric, positive semi-definite.
        mean_y: (d,).
        cov_y: (d, d).
    """
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = root @ cov_y @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((inner + inner.T) / 2), 0, None)).sum()
    step = mean_x - mean_y
    return float(step @ step + np.trace(cov_x) + np.trace(cov_y) - 2 * cross)


def frechet_distance(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Frechet distance of the Gaussians through two sets of features.

    Args:
        x: (n, d), at least two samples.
        y: (m, d).

    Raises:
        ValueError: If the features differ in width or a set has fewer than two samples.
    """
    first, second = _check(x, y, at_least=2)
    return frechet_from_moments(
        first.mean(0), np.atleast_2d(np.cov(first, rowvar=False)),
        second.mean(0), np.atleast_2d(np.cov(second, rowvar=False)),
    )  # fmt: skip


def kernel_distance(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    subset_size: int = 1000,
    num_subsets: int = 50,
    seed: int = 0,
) -> tuple[float, float]:
    """Kernel distance, the mean over random subsets, and its standard deviation over them.

    Args:
        x: (n, d).
        y: (m, d).
        subset_size: Samples of a subset; where a set has fewer, all of it. If both sets are
            taken whole there is one subset, and the deviation is 0.
        num_subsets: Subsets.
        seed: Of their choice.

    Raises:
        ValueError: The same as in :func:`frechet_distance`, or if ``subset_size`` is below 2.
    """
    first, second = _check(x, y, at_least=2)
    if subset_size < 2:
        raise ValueError(f'subset_size must be at least 2; got {subset_size}.')
    n, m = min(subset_size, len(first)), min(subset_size, len(second))
    if (n, m) == (len(first), len(second)):
        return _mmd(first, second), 0.0
    rng = np.random.default_rng(seed)
    values = [
        _mmd(
            first[rng.choice(len(first), n, replace=False)],
            second[rng.choice(len(second), m, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _mmd(x: Array, y: Array) -> float:
    """Unbiased MMD^2: pairs of a sample with itself do not count."""
    n, m, d = len(x), len(y), x.shape[1]

    def kernel(a: Array, b: Array) -> Array:
        values: Array = (a @ b.T / d + 1) ** 3
        return values

    within_x, within_y = kernel(x, x), kernel(y, y)
    same_x = (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
    same_y = (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
    return float(same_x + same_y - 2 * kernel(x, y).mean())


def _check(x: NDArray[np.floating], y: NDArray[np.floating], at_least: int) -> tuple[Array, Array]:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f'features must be (n, d) and (m, d); got {x.shape} and {y.shape}.')
    if min(len(x), len(y)) < at_least:
        raise ValueError(f'each set needs at least {at_least} samples; got {len(x)} and {len(y)}.')
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError('features must be finite; at least one is NaN or infinite.')
    return x.astype(np.float64), y.astype(np.float64)
