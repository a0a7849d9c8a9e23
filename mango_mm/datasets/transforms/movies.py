"""Loading posters, and packing movies for the classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mango_mm.datasets.mm_imdb import Hdf5Rows, decode_vgg_image
from mango_mm.datasets.transforms.loading import read_rgb
from mango_mm.registry import TRANSFORMS
from mango_mm.structures import MultiLabelSample

__all__ = ['LoadMovieFeatures', 'LoadPoster', 'PackMovie']


@TRANSFORMS.register_module()
class LoadPoster(BaseTransform):
    """Load a poster as RGB (H, W, 3) uint8 into ``img``; a black one where there is none.

    Args:
        size: Height and width of the black one; the next step resizes anyway.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be decoded; names it.
    """

    def __init__(self, size: tuple[int, int] = (96, 64)) -> None:
        self.size = tuple(size)
        self.rows = Hdf5Rows()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        source = results.get('img_path')
        if 'hdf5_path' in results:
            image = decode_vgg_image(self.rows.read(results['hdf5_path'], 'images', results['row']))
        elif isinstance(source, np.ndarray):
            image = source
        elif source is None:
            image = np.zeros((*self.size, 3), np.uint8)
        else:
            image = read_rgb(source, 'poster')
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'a poster must be (H, W, 3) uint8; got {image.shape} {image.dtype}.')
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadMovieFeatures(BaseTransform):
    """Load the features of the HDF5 release: ``text`` (300,) and ``img`` features (4096,).

    They become the modalities ``text`` and ``image``, one vector each.
    """

    def __init__(self) -> None:
        self.rows = Hdf5Rows()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if 'hdf5_path' not in results:
            raise ValueError(f"features are in the layout 'hdf5'; got {sorted(results)}.")
        for key, stored in (('text', 'features'), ('image', 'vgg_features')):
            row = self.rows.read(results['hdf5_path'], stored, results['row'])
            results[key] = np.asarray(row, dtype=np.float32)
        return results


@TRANSFORMS.register_module()
class PackMovie(BaseTransform):
    """``inputs``: ``image`` uint8 (3, H, W) or features, ``text`` str or features."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        if 'img' in results:
            inputs['image'] = torch.from_numpy(
                np.ascontiguousarray(results['img'].transpose(2, 0, 1))
            )
        for key in ('image', 'text'):
            value = results.get(key)
            if value is not None:
                inputs[key] = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        keys = ('sample_id', 'title', 'present', 'img_path', 'ori_shape', 'img_shape')
        sample = MultiLabelSample(metainfo={k: results[k] for k in keys if k in results})
        if 'gt_label' in results:
            sample.gt_label = torch.from_numpy(results['gt_label'])
        return {'inputs': inputs, 'data_samples': sample}
