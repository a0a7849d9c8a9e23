"""Attributions: signed maps laid over the pictures of the modalities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_attributions', 'draw_shares']

Picture = NDArray[Any]


def draw_attributions(
    rows: Mapping[str, Mapping[str, tuple[Picture, Picture]]], path: str | Path
) -> None:
    """One row per sample, one picture per modality; red speaks for the prediction, blue against.

    All maps of a sample share one scale, so that its modalities can be compared.

    Args:
        rows: By title and modality: picture (H, W, 3) uint8 and contributions (h, w).
        path: The picture (PNG).

    Raises:
        ValueError: If there is no row.
    """
    if not rows:
        raise ValueError('attributions need at least one sample; got none.')
    plt = pyplot()
    columns = max(len(row) for row in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(3.2 * columns, 2.4 * len(rows) + 0.3), squeeze=False
    )
    for line, (title, row) in zip(axes, rows.items()):
        limit = max(float(np.percentile(np.abs(values), 99)) for _, values in row.values()) or 1.0
        for i, (axis, (name, (picture, values))) in enumerate(zip(line, row.items())):
            height, width = picture.shape[:2]
            grey = picture.mean(axis=2)
            smooth = cv2.resize(
                values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
            )
            axis.imshow(grey, cmap='gray', vmin=0, vmax=255)
            shown = axis.imshow(smooth, cmap='RdBu_r', vmin=-limit, vmax=limit, alpha=0.6)
            total = f'{name}: sum {values.sum():+.3g}'
            axis.set_title(total if i else f'{title}\n{total}', fontsize=7)
        figure.colorbar(shown, ax=line[len(row) - 1], fraction=0.046).ax.tick_params(labelsize=6)
        for axis in line:
            axis.set_axis_off()
    save_figure(figure, path)


def draw_shares(shares: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Stacked bars: each modality's share of all absolute contributions, per sample.

    Args:
        shares: By sample and modality, summing to 1 per sample.
        path: The picture (PNG).
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6, 0.35 * len(shares) + 1.2))
    names = list(next(iter(shares.values())))
    start = np.zeros(len(shares))
    for name in names:
        values = np.array([row[name] for row in shares.values()])
        axis.barh(list(shares), values, left=start, label=name)
        start += values
    axis.set(xlim=(0, 1), xlabel='share of all absolute contributions')
    axis.tick_params(labelsize=7)
    axis.invert_yaxis()
    axis.legend(fontsize=8, ncols=len(names), loc='lower center', bbox_to_anchor=(0.5, 1))
    save_figure(figure, path)
