"""Figures: drawn without a screen, saved, closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ['pyplot', 'save_figure']


def pyplot() -> Any:
    """Matplotlib's pyplot on a backend that needs no screen; takes a second to import."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    return plt


def save_figure(figure: Any, path: str | Path, *, dpi: int = 110, top: float = 1.0) -> None:
    """Lay out a figure below ``top``, a share of its height, save it (PNG), and close it."""
    figure.tight_layout(rect=(0, 0, 1, top))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    pyplot().close(figure)
