"""A movie and what a model makes of it: poster, genres, words, shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['draw_movie']

SHOWN = 8  # genres
LINE = 34  # letters of a line of words


def draw_movie(
    poster: NDArray[np.uint8] | None,
    scores: Mapping[str, float],
    thresholds: Mapping[str, float],
    words: Sequence[tuple[str, float]],
    shares: Mapping[str, float],
    path: str | Path,
) -> Path:
    """Save a picture of one prediction.

    Args:
        poster: RGB (H, W, 3), or None.
        scores: Probability of every genre; the likeliest are drawn.
        thresholds: From which on a genre is said, drawn as ticks.
        words: The plot's words, coloured by their influence: red for, blue against the
            likeliest genre.
        shares: Of every modality.
        path: Where to save it (PNG); its folder is made.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure  # no backend, no window

    figure = Figure(figsize=(10, 3.6), layout='constrained')
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 4, 5))
    left.set_axis_off()
    if poster is not None:
        left.imshow(poster)
    else:
        left.text(0.5, 0.5, 'no poster', ha='center')
    top = sorted(scores, key=lambda g: -scores[g])[:SHOWN][::-1]
    said = ['tab:orange' if scores[g] >= thresholds[g] else 'lightgray' for g in top]
    middle.barh(top, [scores[g] for g in top], color=said)
    middle.scatter([thresholds[g] for g in top], top, marker='|', s=120, color='black')
    middle.set(xlim=(0, 1), xlabel='probability (tick: threshold)')
    right.set_axis_off()
    right.set(xlim=(0, LINE), ylim=(0, 1))
    share = ', '.join(f'{m} {s:.0%}' for m, s in shares.items())
    right.set_title(f'share: {share}', fontsize=9, loc='left')
    largest = max((abs(value) for _, value in words), default=0.0) or 1.0
    x, y = 0, 0.95
    for word, value in words:
        if x + len(word) > LINE:
            x, y = 0, y - 0.085
        colour: Any = colormaps['coolwarm'](0.5 + 0.5 * value / largest)
        right.text(
            x, y, word, family='monospace', fontsize=8, va='top',
            bbox={'facecolor': colour, 'edgecolor': 'none', 'pad': 1.2, 'alpha': 0.8},
        )  # fmt: skip
        x += len(word) + 1
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
