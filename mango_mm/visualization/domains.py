"""Image domains and stacked modalities as pictures: what a person looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.domains import DOMAINS, get_domain
from mango_mm.visualization.panels import colour_depth

__all__ = ['modality_images', 'show_domain']

Picture = NDArray[np.uint8]


def show_domain(image: Tensor, domain: str) -> Picture:
    """An image (C, H, W) in [-1, 1] as (H, W, 3); a depth in colours by its metres."""
    values = image.detach().cpu().numpy().transpose(1, 2, 0)
    if domain in DOMAINS and get_domain(domain).logarithmic:
        return colour_depth(get_domain(domain).to_metres(values)[..., 0])
    levels = np.round((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels


def modality_images(
    stack: NDArray[Any],
    channels: Mapping[str, int],
    missing: Mapping[str, float | None] | None = None,
) -> dict[str, Picture]:
    """The modalities of a stack (C, H, W), before normalisation, as RGB pictures.

    Three channels are colours: as they are in 0..255, in other ranges between the 1st and the 99th
    percentile. Of any other number the first is shown, in the colours of depth.

    Args:
        stack: NaN where a modality is absent.
        channels: Of each modality, in order.
        missing: The value of each that means no measurement, drawn black; None: it has none. Not
            given: 0.
    """
    images: dict[str, Picture] = {}
    start = 0
    for name, count in channels.items():
        part = stack[start : start + count]
        start += count
        if count == 3:
            images[name] = _as_colours(part.transpose(1, 2, 0))
            continue
        unmeasured = 0.0 if missing is None else missing.get(name)
        images[name] = colour_depth(part[0], float('nan') if unmeasured is None else unmeasured)
    return images


def _as_colours(values: NDArray[Any]) -> Picture:
    """(H, W, 3) of any range as 0..255; black where it is NaN."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[known].min(), values[known].max()
    if low < 0 or high > 255 or high <= 1.5:
        low, high = np.percentile(values[known], (1, 99))
        values = (values - low) / max(high - low, 1e-6) * 255
    return np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
