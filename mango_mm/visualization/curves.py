"""Curves: training losses and validation scores of one or more runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_mm.files import read_json_lines
from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_curves', 'read_scalars']


def read_scalars(work_dir: str | Path) -> list[dict[str, Any]]:
    """Every line that mmengine's local backend wrote in a work dir, oldest run first.

    A line that a kill has cut off is left out, with a warning that names it.

    Raises:
        FileNotFoundError: If no run has been logged there.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{work_dir} holds no */vis_data/scalars.json of a run.')
    lines: list[dict[str, Any]] = []
    for file in files:
        found, said = read_json_lines(file)
        lines += found
        for message in said:
            warnings.warn(message, stacklevel=2)
    return lines


def draw_curves(runs: Mapping[str, str | Path], keys: Sequence[str], path: str | Path) -> None:
    """One plot per key, one line per run, over iterations.

    Args:
        runs: Work dir by name.
        keys: Scalars as they are logged: ``loss``, ``mIoU``, ``nll_per_dim``. A run that
            lacks one has no line in its plot.
        path: The picture (PNG).
    """
    plt = pyplot()
    scalars = {name: read_scalars(work_dir) for name, work_dir in runs.items()}
    figure, axes = plt.subplots(1, len(keys), figsize=(4.5 * len(keys), 3.5), squeeze=False)
    for axis, key in zip(axes[0], keys):
        for name, lines in scalars.items():
            points = [(line['step'], line[key]) for line in lines if key in line and 'step' in line]
            if points:
                # A line through one or two validations cannot be seen.
                axis.plot(*zip(*points), label=name, marker='o' if len(points) < 5 else None)
        axis.set(title=key, xlabel='iteration')
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=8)
    save_figure(figure, path)
