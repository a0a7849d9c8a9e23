"""Generated sequences of three modalities, whose label needs two of them.

``signal`` (24 tokens of 6) is a noisy oscillation with one burst, somewhere; ``text`` (12 tokens of
10) has two words among others; ``image`` (9 tokens of 16) is a grid of patches. The burst's height
h in 0.2..1 says how strong the sentiment is, the order of the two words whether it is good or bad:
label = 3 h or -3 h. Neither alone says more than its size or its sign; the image says nothing.
Lengths differ from sample to sample.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ['MODALITIES', 'MiniSequence', 'make_sequence']

MODALITIES = {'signal': (24, 6), 'text': (12, 10), 'image': (9, 16)}
SHORTEST = {'signal': 16, 'text': 8, 'image': 9}
BURST = np.array([0.3, 0.7, 1.0, 0.7, 0.3])


@dataclasses.dataclass
class MiniSequence:
    """One sample.

    Attributes:
        tokens: (T_m, C_m) by modality, the real ones first, then zeros.
        lengths: How many are real.
        label: -3 to 3.
    """

    tokens: dict[str, NDArray[np.float32]]
    lengths: dict[str, int]
    label: float


def make_sequence(seed: int) -> MiniSequence:
    """The sample of a seed."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(2024).normal(size=(20, MODALITIES['text'][1]))  # a vocabulary
    lengths = {m: int(rng.integers(SHORTEST[m], most + 1)) for m, (most, _) in MODALITIES.items()}
    height, good = rng.uniform(0.2, 1.0), bool(rng.integers(2))
    tokens = {m: np.zeros(shape, np.float32) for m, shape in MODALITIES.items()}

    n, channels = lengths['signal'], MODALITIES['signal'][1]
    time = np.arange(n)[:, None]
    phases, rates = rng.uniform(0, 6.28, channels), rng.uniform(0.3, 1.2, channels)
    signal = 0.5 * np.sin(rates * time + phases) + rng.normal(0, 0.15, (n, channels))
    start = rng.integers(0, n - len(BURST) + 1)
    signal[start : start + len(BURST)] += 2 * height * BURST[:, None]
    tokens['signal'][:n] = signal

    n = lengths['text']
    chosen = rng.integers(2, len(words), n)
    first, second = sorted(rng.choice(n, 2, replace=False))
    chosen[first], chosen[second] = (0, 1) if good else (1, 0)
    tokens['text'][:n] = words[chosen] + rng.normal(0, 0.1, (n, words.shape[1]))

    n, channels = lengths['image'], MODALITIES['image'][1]
    tokens['image'][:n] = rng.normal(0, 1, (n, channels)) + rng.normal(0, 1, channels)
    return MiniSequence(tokens, lengths, float(3 * height * (1 if good else -1)))
