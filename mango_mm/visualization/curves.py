"""Curves: training losses and validation scores of one or more runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_mm.files import read_json_lines
from mango_mm.visualization.figures import pyplot, save_figure

__all__ = ['draw_curves', 'points_of', 'read_scalars']


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


def points_of(
    lines: Sequence[Mapping[str, Any]], key: str, *, validation: bool
) -> list[tuple[float, float]]:
    """Step and value of a scalar, of the lines of training or of those of validations.

    A line of training has the learning rate; mmengine writes a validation without.
    """
    return [
        (line['step'], line[key])
        for line in lines
        if ('lr' not in line and 'base_lr' not in line) == validation
        and isinstance(line.get(key), (int, float))
        and isinstance(line.get('step'), (int, float))
    ]


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
            colour = None
            for validation in (False, True):
                points = points_of(lines, key, validation=validation)
                if not points:
                    continue
                # What both report (nll_per_dim) is two curves: of batches in training mode, and
                # of whole validations. A line through one or two points cannot be seen.
                several = colour is not None
                (line,) = axis.plot(
                    *zip(*points), label=f'{name}, validation' if several else name,
                    marker='o' if validation or len(points) < 5 else None,
                    linestyle='--' if several else '-', color=colour,
                )  # fmt: skip
                colour = line.get_color()
        axis.set(title=key, xlabel='iteration')
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=8)
    save_figure(figure, path)
