"""mmseg's visualizer for images that are several modalities."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.visualization import SegLocalVisualizer
from numpy.typing import NDArray

from mango_mm.registry import VISUALIZERS

__all__ = ['MultimodalSegVisualizer']


@VISUALIZERS.register_module()
class MultimodalSegVisualizer(SegLocalVisualizer):
    """Shows the first three channels, RGB, of what ``StackModalities`` made.

    mmseg's ``browse_dataset.py`` hands over channels 2, 1, 0 of a float image, because its own
    are BGR, and in a memory layout that OpenCV does not draw on.

    Args:
        name: The same as in mmengine; its metaclass looks for it.
        *args: The same as in mmseg's.
        alpha: Weight of the labels over the image; mmseg's .8 hides it.
        **options: The same as in mmseg's.
    """

    def __init__(
        self, name: str = 'visualizer', *args: Any, alpha: float = 0.5, **options: Any
    ) -> None:
        super().__init__(name, *args, alpha=alpha, **options)

    def add_datasample(self, name: str, image: NDArray[Any], *args: Any, **options: Any) -> None:
        if image.dtype != np.uint8:
            image = np.nan_to_num(image)[..., 2::-1].clip(0, 255).astype(np.uint8)
        super().add_datasample(name, np.ascontiguousarray(image), *args, **options)
