"""Comparison: every run of every model as a dot, their means and spreads."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_comparison', 'draw_differences']


def draw_comparison(
    values: Mapping[str, Sequence[float]], path: str | Path, *, xlabel: str, title: str = ''
) -> None:
    """One row per model: a dot per seed, a line at the mean, a bar of one standard deviation.

    Args:
        values: Scores of every model, one per seed.
        path: The picture (PNG).
        xlabel: Name of the score.
        title: Above the plot.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not values:
        raise ValueError('a comparison needs at least one model; got none.')
    figure, axis = pyplot().subplots(figsize=(7, 0.9 + 0.32 * len(values)))
    for row, scores in enumerate(values.values()):
        mean = statistics.mean(scores)
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        axis.barh(row, 2 * spread, left=mean - spread, height=0.5, color='C0', alpha=0.25)
        axis.plot([mean, mean], [row - 0.3, row + 0.3], color='C0', linewidth=2)
        axis.plot(scores, [row] * len(scores), 'o', color='black', markersize=3)
    said = f'{xlabel} (dots: seeds; bar: mean and one standard deviation)'
    _finish(figure, axis, path, list(values), said, title)


def draw_differences(
    values: Mapping[str, tuple[float, float, float]],
    path: str | Path,
    *,
    xlabel: str,
    title: str = '',
) -> None:
    """One row per model: its difference to a baseline with an interval, zero drawn through.

    Args:
        values: Mean, lower and upper end of the interval.
        path: The picture (PNG).
        xlabel: What differs.
        title: Above the plot.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not values:
        raise ValueError('differences need at least one model; got none.')
    figure, axis = pyplot().subplots(figsize=(7, 0.9 + 0.32 * len(values)))
    for row, (mean, low, high) in enumerate(values.values()):
        colour = 'C2' if low > 0 else 'C3' if high < 0 else 'C7'
        axis.plot([low, high], [row, row], color=colour, linewidth=2)
        axis.plot(mean, row, 'o', color=colour, markersize=5)
    axis.axvline(0, color='black', linewidth=0.8)
    _finish(figure, axis, path, list(values), xlabel, title)


def _finish(
    figure: Any, axis: Any, path: str | Path, names: Sequence[str], xlabel: str, title: str
) -> None:
    """Name the rows, the first on top, and save."""
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel)
    figure.suptitle(textwrap.fill(title, 60))  # of the figure: long names leave little to the axes
    axis.grid(alpha=0.3, axis='x')
    save_figure(figure, path)
