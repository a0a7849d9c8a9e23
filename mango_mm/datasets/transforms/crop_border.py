"""Cutting a border off, where sensors do not see the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mango_mm.datasets.transforms import trace
from mango_mm.registry import TRANSFORMS

__all__ = ['CropBorder']


@TRANSFORMS.register_module()
class CropBorder(BaseTransform):
    """Cut columns and rows off the image and all that goes with it, right after loading.

    The sample is of the remaining size from then on: predictions have it, too.

    Args:
        left: Columns at the left.
        right: Columns at the right.
        top: Rows at the top.
        bottom: Rows at the bottom.

    Raises:
        ValueError: If one is negative, or nothing would remain.
    """

    def __init__(self, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> None:
        if min(left, right, top, bottom) < 0:
            raise ValueError(
                f'borders must not be negative; got {left}, {right}, {top} and {bottom}.'
            )
        self.columns, self.rows = (left, right), (top, bottom)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        height, width = results['ori_shape'][:2]
        rows = slice(self.rows[0], height - self.rows[1])
        columns = slice(self.columns[0], width - self.columns[1])
        if rows.stop <= rows.start or columns.stop <= columns.start:
            raise ValueError(
                f'CropBorder cuts {self.columns} columns and {self.rows} rows off an image of '
                f'{height} x {width}: nothing remains.'
            )
        size = (rows.stop - rows.start, columns.stop - columns.start)
        known = results.get(trace.STATE)
        sources = () if known is None else known.sources
        for key in {'img', *results.get('seg_fields', ()), *results.get('arrays', ()), *sources}:
            # A label map may have been stored without the border.
            if key in results and results[key].shape[:2] == (height, width):
                results[key] = np.ascontiguousarray(results[key][rows, columns])
        results['img_shape'] = results['ori_shape'] = size
        trace.cropped(results)
        if 'gt_seg_map' in results:
            trace.follow_labels(results)
        return results
