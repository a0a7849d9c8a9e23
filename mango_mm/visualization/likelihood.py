"""Likelihoods: a histogram over a data set, and maps over single samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_histogram', 'draw_maps']


def draw_histogram(
    values: Mapping[str, Sequence[float]], path: str | Path, *, xlabel: str = 'bits per dimension'
) -> None:
    """Histograms of several groups of samples over common bins.

    Args:
        values: By group: one number per sample.
        path: The picture (PNG).
        xlabel: What is counted.

    Raises:
        ValueError: If there is no number, or one is not finite.
    """
    plt = pyplot()
    every = np.concatenate([np.asarray(v, dtype=float) for v in values.values()] or [[]])
    if not every.size or not np.isfinite(every).all():
        raise ValueError(f'a histogram needs finite numbers; got {every.size} of them.')
    bins = np.histogram_bin_edges(every, bins=min(40, max(5, every.size // 3)))
    figure, axis = plt.subplots(figsize=(6, 3.2))
    for name, group in values.items():
        axis.hist(group, bins=list(bins), alpha=0.5, label=f'{name} ({len(group)})')
    axis.set(xlabel=f'{xlabel} (larger: less likely)', ylabel='samples')
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    save_figure(figure, path)


def draw_maps(
    rows: Mapping[str, tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
    path: str | Path,
    *,
    label: str = 'bits per dimension',
    window: tuple[int, int] | None = None,
) -> None:
    """One row per sample: each modality's picture, and beside it a map laid over it.

    All maps of a modality share one scale, so that rows can be compared. A caption says which way
    the scale goes, and what the lines are.

    Args:
        rows: By title: pictures (H, W, 3) uint8 and maps (h, w) by modality.
        path: The picture (PNG).
        label: Of the maps' scale.
        window: Height and width, in positions of the map, of the windows that the flow works in;
            their borders are drawn, because a flow that sees a window alone often has a pattern
            of their period. None: it sees all at once.

    Raises:
        ValueError: If there is no row.
    """
    plt = pyplot()
    if not rows:
        raise ValueError('maps need at least one sample; got none.')
    names = list(next(iter(rows.values()))[1])
    limits = {}
    for m in names:
        every = np.concatenate([maps[m].ravel() for _, maps in rows.values()])
        limits[m] = tuple(np.percentile(every, (1, 99)))
    columns = 2 * len(names)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(2.4 * columns, 1.9 * len(rows) + 0.3), squeeze=False
    )
    for line, (title, (pictures, maps)) in zip(axes, rows.items()):
        for i, m in enumerate(names):
            height, width = pictures[m].shape[:2]
            extent = (0, width, height, 0)
            line[2 * i].imshow(pictures[m], extent=extent)
            low, high = limits[m]
            beside = line[2 * i + 1]
            beside.imshow(pictures[m].mean(axis=2), extent=extent, cmap='gray')
            shown = beside.imshow(
                maps[m], extent=extent, cmap='inferno', vmin=low, vmax=max(high, low + 1e-6),
                alpha=0.75,
            )  # fmt: skip
            if window is not None:
                rows_, columns_ = maps[m].shape
                for step, size, whole, draw in (
                    (window[0], rows_, height, beside.axhline),
                    (window[1], columns_, width, beside.axvline),
                ):
                    for place in range(step, size, step):
                        draw(place / size * whole, color='white', linewidth=0.4)
            line[2 * i].set_title(m if i else f'{title}\n{m}', fontsize=7)
            line[2 * i + 1].set_title(f'{m}: {label}', fontsize=7)
            figure.colorbar(shown, ax=line[2 * i + 1], fraction=0.046).ax.tick_params(labelsize=6)
        for axis in line:
            axis.set_axis_off()
    said = f'Bright: unlikely under the flow ({label}); one scale for all rows of a modality.'
    shapes = [m.shape for _, maps in rows.values() for m in maps.values()]
    if window is not None and any(h > window[0] or w > window[1] for h, w in shapes):
        said += f' White lines: its windows of {window[0]} x {window[1]} positions.'
    figure.text(0.01, 0.005, said, fontsize=7)
    save_figure(figure, path)
