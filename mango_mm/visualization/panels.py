"""Panels: each modality, ground truth and prediction of one sample, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ['colour_depth', 'colour_labels', 'draw_panel', 'legend_of']

TITLE_HEIGHT, GAP, SHORTEST_SIDE = 16, 4, 120


def colour_depth(depth: NDArray[Any], missing: float = 0.0) -> NDArray[np.uint8]:
    """Depth (H, W) in colours, near dark and far bright, missing pixels black.

    The range is that of the picture, 1st to 99th percentile.
    """
    from matplotlib import colormaps  # here, because it takes a second to import

    known = np.isfinite(depth) & (depth != missing)
    if not known.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    low, high = np.percentile(depth[known], (1, 99))
    scaled = np.clip((np.where(known, depth, low) - low) / max(high - low, 1e-6), 0, 1)
    coloured = (colormaps['viridis'](scaled)[..., :3] * 255).astype(np.uint8)
    coloured[~known] = 0
    return coloured


def colour_labels(
    label: NDArray[Any], palette: Sequence[Sequence[int]], ignore_index: int = 255
) -> NDArray[np.uint8]:
    """A label map (H, W) in the data set's colours, ignored pixels black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    table[ignore_index] = 0
    return table[label.astype(np.uint8)]


def legend_of(
    labels: Sequence[NDArray[Any]],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> dict[str, Sequence[int]]:
    """Colours of the classes that occur in label maps, by name, the most frequent first."""
    counts = sum(np.bincount(x.astype(np.uint8).ravel(), minlength=256) for x in labels)
    order = sorted(range(len(classes)), key=lambda i: -int(np.asarray(counts)[i]))
    return {classes[i]: palette[i] for i in order if np.asarray(counts)[i]}


def draw_panel(
    images: Mapping[str, NDArray[np.uint8]],
    path: str | Path | None = None,
    legend: Mapping[str, Sequence[int]] | None = None,
) -> NDArray[np.uint8]:
    """Put titled RGB images of any sizes side by side.

    Args:
        images: (H, W, 3) uint8 by title. All are scaled to the first one's size, small
            ones enlarged without smoothing.
        path: Where to save it (PNG); its folder is made.
        legend: Colours by name, drawn beneath; see :func:`legend_of`.

    Returns:
        The panel, (H', W', 3).
    """
    height, width = next(iter(images.values())).shape[:2]
    factor = max(1, -(-SHORTEST_SIDE // min(height, width)))
    height, width = height * factor, width * factor
    count = len(images)
    canvas = Image.new('RGB', (count * width + (count - 1) * GAP, height + TITLE_HEIGHT), 'white')
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default()
    for i, (title, image) in enumerate(images.items()):
        left = i * (width + GAP)
        draw.text((left + 2, 2), title, fill='black', font=font)
        tile = Image.fromarray(np.ascontiguousarray(image))
        canvas.paste(tile.resize((width, height), Image.Resampling.NEAREST), (left, TITLE_HEIGHT))
    if legend:
        canvas = _with_legend(canvas, legend)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        canvas.save(path)
    return np.asarray(canvas)


def _with_legend(canvas: Image.Image, legend: Mapping[str, Sequence[int]]) -> Image.Image:
    """The picture with swatches and names beneath, in as many rows as they need."""
    font = ImageFont.load_default()
    places, left, row = [], 2, 0
    for name, colour in legend.items():
        width = TITLE_HEIGHT + int(font.getlength(name)) + 2 * GAP
        if left > 2 and left + width > canvas.width:
            left, row = 2, row + 1
        places.append((left, row, name, tuple(colour)))
        left += width
    taller = Image.new(
        'RGB', (canvas.width, canvas.height + (row + 1) * TITLE_HEIGHT + GAP), 'white'
    )
    taller.paste(canvas, (0, 0))
    draw = ImageDraw.Draw(taller)
    for left, row, name, colour in places:
        top = canvas.height + GAP + row * TITLE_HEIGHT
        box = (left, top + 2, left + TITLE_HEIGHT - 4, top + TITLE_HEIGHT - 4)
        draw.rectangle(box, fill=colour, outline='black')
        draw.text((left + TITLE_HEIGHT, top), name, fill='black', font=font)
    return taller
