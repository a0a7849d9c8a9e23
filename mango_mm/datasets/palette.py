"""Colours for label maps."""

from __future__ import annotations

import colorsys

__all__ = ['distinct_colours']


def distinct_colours(count: int) -> list[list[int]]:
    """``count`` RGB colours, 0..255, neighbours far apart.

    Hues step by the golden ratio, which spreads any number of them evenly.

    Example:
        >>> len(distinct_colours(40)), distinct_colours(1)
        (40, [[242, 97, 97]])
    """
    colours = []
    for i in range(count):
        hue = (i * 0.61803398875) % 1.0
        saturation, value = ((0.6, 0.95), (0.85, 0.7), (0.45, 0.8))[i % 3]
        colours.append([round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value)])
    return colours
