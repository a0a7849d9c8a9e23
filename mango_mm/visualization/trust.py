"""Trust: where a sensor is believed, how sure all are, and how well predictions know themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_mm.visualization.figures import pyplot, save_figure

__all__ = [
    'colour_trust',
    'draw_calibration',
    'draw_failures',
    'draw_fading',
    'draw_trust_bars',
    'overlay_trust',
]

Curve = tuple[NDArray[Any], NDArray[Any]]
DOUBTED, TRUSTED = np.array([215, 48, 39]), np.array([26, 152, 80])


def colour_trust(trust: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A trust map (h, w) in [0, 1] at a size (H, W): red doubted, yellow unsure, green trusted."""
    from matplotlib import colormaps  # here, because it takes a second to import

    coloured = (colormaps['RdYlGn'](np.clip(trust, 0, 1))[..., :3] * 255).astype(np.uint8)
    enlarged = Image.fromarray(coloured).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(enlarged)


def overlay_trust(
    image: NDArray[np.uint8], trust: NDArray[Any], strength: float = 0.55
) -> NDArray[np.uint8]:
    """An image (H, W, 3) with its trust map (h, w) over it: the more, the more it is doubted."""
    colours = colour_trust(trust, image.shape[:2]).astype(float)
    doubt = (
        np.asarray(
            Image.fromarray((255 * (1 - np.clip(trust, 0, 1))).astype(np.uint8)).resize(
                (image.shape[1], image.shape[0]), Image.Resampling.BILINEAR
            ),
            float,
        )[..., None]
        / 255
    )
    share = strength * (0.25 + 0.75 * doubt)
    return ((1 - share) * image + share * colours).astype(np.uint8)


def draw_trust_bars(
    trust: Mapping[str, float], size: tuple[int, int], *, alarm: bool
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of one horizontal bar per modality, framed in red in an alarm."""
    height, width = size
    picture = np.full((height, width, 3), 255, np.uint8)
    rows = np.array_split(np.arange(height), len(trust))
    for row, value in zip(rows, trust.values()):
        inner = row[len(row) // 5 : -max(1, len(row) // 5)]
        end = max(1, int(width * min(max(value, 0.0), 1.0)))
        picture[inner[0] : inner[-1] + 1] = 230
        picture[inner[0] : inner[-1] + 1, :end] = (
            DOUBTED + (TRUSTED - DOUBTED) * min(max(value, 0.0), 1.0)
        ).astype(np.uint8)
    if alarm:
        for edge in (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:]):
            edge[...] = DOUBTED
    return picture


def draw_failures(
    lines: Sequence[Mapping[str, Any]], rules: Sequence[str], path: str | Path, *, metric: str
) -> None:
    """One group of bars per condition, one bar per rule.

    Args:
        lines: What ``SensorFailures.run`` gave.
        rules: Those shown, in order.
        path: The picture (PNG).
        metric: Name of the score.

    Raises:
        ValueError: If no line is of such a rule.
    """
    shown = [line for line in lines if line['rule'] in rules]
    if not shown:
        raise ValueError(f'no line is of {list(rules)}.')
    plt = pyplot()
    names = list(dict.fromkeys(line['name'] for line in shown))
    figure, axis = plt.subplots(figsize=(max(6, 0.9 * len(names)), 4))
    width = 0.8 / len(rules)
    for place, rule in enumerate(rules):
        by_name = {line['name']: line['metrics'][metric] for line in shown if line['rule'] == rule}
        heights = [by_name.get(n, float('nan')) for n in names]
        axis.bar(np.arange(len(names)) + place * width, heights, width, label=rule)
    axis.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, rotation=40, ha='right')
    axis.set_ylabel(metric)
    axis.grid(axis='y', alpha=0.3)
    axis.legend(
        ncols=min(6, len(rules)),
        fontsize=8,
        loc='lower right',
        bbox_to_anchor=(1, 1),
        frameon=False,
    )
    save_figure(figure, path)


def draw_calibration(
    groups: Mapping[str, Mapping[str, tuple[Curve, Curve]]], path: str | Path
) -> None:
    """A reliability diagram, and risk over coverage, of every group of predictions.

    Args:
        groups: By title, then by rule: mean confidence and accuracy of bins; coverage and risk.
        path: The picture (PNG).

    Raises:
        ValueError: If there is no group.
    """
    if not groups:
        raise ValueError('a picture of calibration needs a group of predictions; got none.')
    plt = pyplot()
    figure, axes = plt.subplots(len(groups), 2, figsize=(8, 3.4 * len(groups)), squeeze=False)
    for (left, right), (title, rules) in zip(axes, groups.items()):
        left.plot([0, 1], [0, 1], color='0.7', linewidth=1)
        for rule, (reliability, risk) in rules.items():
            left.plot(*reliability, marker='o', markersize=3, label=rule)
            right.plot(*risk, label=rule)
        left.set(xlabel='confidence', ylabel='accuracy', xlim=(0, 1), ylim=(0, 1))
        right.set(xlabel='coverage: the surest share', ylabel='risk: share of errors', xlim=(0, 1))
        for axis in (left, right):
            axis.set_title(title, fontsize=9)
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    save_figure(figure, path)


def draw_fading(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], path: str | Path
) -> None:
    """Trust in every sensor while one of them fails more and more.

    Args:
        panels: By title, then by modality: how much has failed, in [0, 1], and the trust.
        path: The picture (PNG).

    Raises:
        ValueError: If there is no panel.
    """
    if not panels:
        raise ValueError('a picture of fading sensors needs a panel; got none.')
    plt = pyplot()
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3), squeeze=False)
    for axis, (title, lines) in zip(axes[0], panels.items()):
        for name, points in lines.items():
            axis.plot(*zip(*points), marker='o', markersize=3, label=f'trust in {name}')
        axis.set_title(title, fontsize=9)
        axis.set_xlabel('how far', fontsize=8)
        axis.set_ylim(-0.02, 1.02)
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    save_figure(figure, path)
