"""Ratios: one plot per kind of work, one line per way of doing it, over a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_bars', 'draw_ratios']

Point = tuple[float, float, float, float]  # size, lower quartile, median, upper quartile


def draw_ratios(
    panels: Mapping[str, Mapping[str, Sequence[Point]]],
    path: str | Path,
    *,
    xlabel: str,
    ylabel: str,
    marks: Mapping[str, float] | None = None,
) -> None:
    """Lines with bands on logarithmic axes.

    Args:
        panels: By title, then by line: points, a size with the quartiles of its ratio.
        path: The picture (PNG).
        xlabel: Under every panel.
        ylabel: Beside the first one.
        marks: A target to draw as a dashed line, by title.
    """
    plt = pyplot()
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.8), squeeze=False)
    for axis, (title, lines) in zip(axes[0], panels.items()):
        for name, points in lines.items():
            size, low, median, high = zip(*sorted(points))
            (line,) = axis.plot(size, median, marker='o', markersize=3, label=name)
            axis.fill_between(size, low, high, color=line.get_color(), alpha=0.2)
        axis.axhline(1, color='black', linewidth=0.8)
        if marks and title in marks:
            axis.axhline(marks[title], color='black', linewidth=0.8, linestyle='--')
        axis.set(title=title, xlabel=xlabel, xscale='log', yscale='log')
        axis.set_xscale('log', base=2)
        axis.grid(alpha=0.3, which='both')
        axis.legend(fontsize=7)
    axes[0][0].set_ylabel(ylabel)
    save_figure(figure, path)


def draw_bars(
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]], path: str | Path
) -> None:
    """One bar per name and panel, with the quartiles as a whisker.

    Args:
        panels: By title, then by name: lower quartile, median, upper quartile.
        path: The picture (PNG).
    """
    plt = pyplot()
    rows = max(len(bars) for bars in panels.values())
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 0.5 + 0.4 * rows), squeeze=False, sharey=True
    )
    for axis, (title, bars) in zip(axes[0], panels.items()):
        names = list(bars)
        medians = [bars[name][1] for name in names]
        below = [bars[name][1] - bars[name][0] for name in names]
        above = [bars[name][2] - bars[name][1] for name in names]
        axis.barh(names, medians, xerr=[below, above], height=0.6)
        for row, median in enumerate(medians):
            axis.text(median, row, f' {median:.3g}', va='center', fontsize=8)
        axis.set(title=title)
        axis.margins(x=0.18)
        axis.grid(alpha=0.3, axis='x')
    axes[0][0].invert_yaxis()
    save_figure(figure, path)
