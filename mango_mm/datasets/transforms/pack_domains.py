"""Packs translated domains into what mmagic's models and metrics read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from mango_mm.hosts import require_host
from mango_mm.registry import TRANSFORMS

__all__ = ['PackDomains']

META = ('view', 'sources', 'target', 'ori_shape', 'img_shape', 'flip')


@TRANSFORMS.register_module()
class PackDomains(BaseTransform):
    """``inputs``: every source; ``data_samples``: mmagic's DataSample with the target.

    ``gt_img`` is (C, H, W) in [-1, 1], ``gt_mask`` (1, H, W), 1.0 where it was measured. Without
    a target there is such a mask for every source instead, ``mask_{domain}``.
    """

    def __init__(self) -> None:
        require_host('mmagic', 'PackDomains')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        from mmagic.structures import DataSample

        target = results['target']
        sample = DataSample(metainfo={key: results[key] for key in META if key in results})
        masks = {
            name: torch.from_numpy(mask.astype(np.float32))[None]
            for name, mask in results['masks'].items()
        }
        if target is None:
            sample.set_tensor_data({f'mask_{name}': mask for name, mask in masks.items()})
        else:
            sample.set_metainfo({'gt_path': results.get(f'{target}_path')})
            sample.set_tensor_data(
                {'gt_img': _to_tensor(results[target]), 'gt_mask': masks[target]}
            )
        inputs = {name: _to_tensor(results[name]) for name in results['sources']}
        return {'inputs': inputs, 'data_samples': sample}


def _to_tensor(image: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
