"""Pictures that people look at: panels per sample, curves per run, ratios per benchmark."""

from mango_mm.visualization.comparison import draw_comparison, draw_differences
from mango_mm.visualization.curves import draw_curves
from mango_mm.visualization.likelihood import draw_histogram, draw_maps
from mango_mm.visualization.panels import colour_depth, colour_labels, draw_panel
from mango_mm.visualization.ratios import draw_bars, draw_ratios

__all__ = [
    'colour_depth',
    'colour_labels',
    'draw_bars',
    'draw_comparison',
    'draw_curves',
    'draw_differences',
    'draw_histogram',
    'draw_maps',
    'draw_panel',
    'draw_ratios',
]
