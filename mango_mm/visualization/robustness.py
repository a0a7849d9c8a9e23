"""Robustness: scores over severity, one plot per degradation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_severities']

COLUMNS = 4


def draw_severities(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    path: str | Path,
    *,
    ylabel: str,
    ylim: tuple[float, float] | None = None,
) -> None:
    """Lines over severity.

    Args:
        panels: By degradation, then by line: severities with their values.
        path: The picture (PNG).
        ylabel: What the values are.
        ylim: Range of all panels; None: that of the values.

    Raises:
        ValueError: If there is no panel.
    """
    plt = pyplot()
    if not panels:
        raise ValueError('a plot of robustness needs at least one degradation; got none.')
    rows = -(-len(panels) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(3 * COLUMNS, 2.3 * rows), squeeze=False, sharey=True
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (title, lines) in zip(axes.flat, panels.items()):
        for name, points in lines.items():
            axis.plot(*zip(*sorted(points)), marker='o', markersize=3, label=name)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel('severity', fontsize=8)
        axis.set_xticks([0, 1, 2, 3, 4, 5])
        axis.grid(alpha=0.3)
        if ylim is not None:
            axis.set_ylim(*ylim)
    for row in axes:
        row[0].set_ylabel(ylabel, fontsize=8)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc='upper center', ncols=min(5, len(names)), fontsize=8)
    save_figure(figure, path, dpi=100, top=0.94)
