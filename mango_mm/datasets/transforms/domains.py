"""Loading Taskonomy's domains, and geometry that moves all of them alike.

After ``LoadDomains`` a sample holds every domain under its name, float32 (H, W, C) in
[-1, 1], and ``masks``: the measured pixels of each, bool (H, W). Depth and masks are resized
by the nearest pixel, so that no distance is invented between two surfaces or out of a hole;
and in a mirror the x component of a direction changes sign, which the published code forgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from mango_mm.domains import get_domain
from mango_mm.files import read_image
from mango_mm.registry import TRANSFORMS

__all__ = ['LoadDomains', 'RandomCropDomains', 'RandomFlipDomains', 'ResizeDomains']


@TRANSFORMS.register_module()
class LoadDomains(BaseTransform):
    """Load the sources and the target of a sample of ``TaskonomyDataset``.

    In the place of a path there may be an array in the domain's encoding.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file cannot be decoded, is not of its domain's type, or differs in
            size from the sample's other domains; names the file.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        target = results['target']
        results['domains'] = (*results['sources'], *([] if target is None else [target]))
        results['masks'] = {}
        for name in results['domains']:
            source = results[f'{name}_path']
            given = isinstance(source, np.ndarray)
            path = f'the array of {name}' if given else source
            stored = source if given else np.asarray(read_image(source, name))
            results[name], results['masks'][name] = get_domain(name).decode(stored, path)
            size, first = results[name].shape[:2], results['domains'][0]
            if size != results[first].shape[:2]:
                raise ValueError(
                    f'all domains of a view must have one size; {path} is {size}, '
                    f'but {first} is {results[first].shape[:2]}.'
                )
        results['img_shape'] = results['ori_shape'] = size
        return results


class _Geometry(BaseTransform):
    """Applies one map to every domain and to every mask of a sample."""

    def _apply(self, results: dict[str, Any], image: Any, nearest: Any) -> None:
        for name in results['domains']:
            # What has holes must not be mixed with its neighbours.
            change = nearest if get_domain(name).invalid else image
            results[name] = np.ascontiguousarray(change(results[name]))
            mask = nearest(results['masks'][name].astype(np.uint8)[..., None])
            results['masks'][name] = np.ascontiguousarray(mask[..., 0].astype(bool))
        results['img_shape'] = results[results['domains'][0]].shape[:2]


@TRANSFORMS.register_module()
class ResizeDomains(_Geometry):
    """Resize to a fixed size.

    Args:
        size: Height and width in pixels.
    """

    def __init__(self, size: Sequence[int]) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'size must be a height and a width; got {size}.')
        self.size = (int(size[0]), int(size[1]))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        def resize(image: NDArray[Any], how: str) -> NDArray[Any]:
            resized = mmcv.imresize(image, self.size[::-1], interpolation=how)
            return resized.reshape(*self.size, image.shape[2])  # cv2 drops a single channel

        self._apply(results, lambda x: resize(x, 'bilinear'), lambda x: resize(x, 'nearest'))
        return results


@TRANSFORMS.register_module()
class RandomCropDomains(_Geometry):
    """Cut the same random rectangle out of all domains.

    Args:
        size: Height and width in pixels.

    Raises:
        ValueError: If the images are smaller.
    """

    def __init__(self, size: Sequence[int]) -> None:
        self.size = (int(size[0]), int(size[1]))

    @cache_randomness
    def _corner(self, height: int, width: int) -> tuple[int, int]:
        # randint's upper end is excluded: the last possible corner must be reachable.
        top = np.random.randint(height - self.size[0] + 1)
        return top, np.random.randint(width - self.size[1] + 1)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        height, width = results['img_shape']
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f'cannot crop {self.size} out of {(height, width)} ({results.get("view")}); '
                'resize first.'
            )
        top, left = self._corner(height, width)

        def crop(image: NDArray[Any]) -> NDArray[Any]:
            return image[top : top + self.size[0], left : left + self.size[1]]

        self._apply(results, crop, crop)
        return results


@TRANSFORMS.register_module()
class RandomFlipDomains(_Geometry):
    """Mirror all domains left to right, or none.

    Args:
        prob: Probability.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1]; got {prob}.')
        self.prob = prob

    @cache_randomness
    def _chosen(self) -> bool:
        return bool(np.random.rand() < self.prob)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        results['flip'] = self._chosen()
        if not results['flip']:
            return results
        self._apply(results, lambda x: x[:, ::-1], lambda x: x[:, ::-1])
        for name in results['domains']:
            if get_domain(name).flips_x:
                results[name][..., 0] *= -1
        return results
