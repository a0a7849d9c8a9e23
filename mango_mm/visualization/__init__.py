"""Pictures that people look at: panels per sample, curves per run."""

from mango_mm.visualization.curves import draw_curves
from mango_mm.visualization.panels import colour_depth, colour_labels, draw_panel

__all__ = ['colour_depth', 'colour_labels', 'draw_curves', 'draw_panel']
