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


def modality_images(stack: NDArray[Any], channels: Mapping[str, int]) -> dict[str, Picture]:
    """The modalities of a stack (C, H, W), before normalisation, as RGB pictures."""
    images: dict[str, Picture] = {}
    start = 0
    for name, count in channels.items():
        part = np.nan_to_num(stack[start : start + count])  # NaN where a modality is absent
        start += count
        if count == 3:
            images[name] = np.clip(part.transpose(1, 2, 0), 0, 255).astype(np.uint8)
        else:
            images[name] = colour_depth(part[0])
    return images
