"""Loading any aligned modality, one file each: thermal, events, SAR, spectral bands, normals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mango_mm.datasets.transforms import trace
from mango_mm.datasets.transforms.loading import check_size, name_of, size_without, source_of
from mango_mm.files import CUT_TO_8_BITS, read_image
from mango_mm.registry import TRANSFORMS

__all__ = ['LoadArray']

FULL = 'full'


@TRANSFORMS.register_module()
class LoadArray(BaseTransform):
    """Load a modality as numbers, (H, W) or (H, W, C) float32.

    Files: ``.npy`` and ``.npz`` of any numbers; images of 8 or 16 bits, integer or floating point
    (PNG, TIFF, ...), whose colours stay in the order of the file. It moves as depth does: with the
    image and the labels, nearest neighbour, so that no value is invented between two surfaces.

    Args:
        key: Where it goes; its path, or an array, is under ``<key>_path``.
        channels: Which channels of the file, by index; None: all. Needed where samples may lack a
            modality of several channels, which are as many as are named.
        scale: What values are divided by; ``'full'``: the largest value of the file's type, so that
            8 and 16 bits both come as 0..1.
        missing: The value that means no measurement, after dividing; values that are not finite are
            none either. Give the preprocessor the same.
        first: Channels are the first axis of the file, (C, H, W).
        name: Of the array in an ``.npz``; None: it holds one.
        dtype: What the files must hold, ``'uint16'``, ``'float32'``, ...; None: any numbers.

    A path may be a list of files, whose channels then lie one after the other.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it holds no such numbers, or is not of the size of what was loaded before.
    """

    def __init__(
        self,
        key: str,
        channels: Sequence[int] | None = None,
        scale: float | str = 1.0,
        missing: float = 0.0,
        *,
        first: bool = False,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if scale != FULL and (isinstance(scale, str) or not scale > 0) or not np.isfinite(missing):
            raise ValueError(
                f'LoadArray needs a positive scale or {FULL!r}, and a finite missing; got '
                f'{scale!r} and {missing}.'
            )
        self.key, self.scale, self.missing = key, scale, float(missing)
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.channels = None if channels is None else tuple(channels)
        self.first, self.name = first, name

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        source = source_of(results, f'{self.key}_path', type(self).__name__)
        if source is None:
            size = size_without(results, self.key)
            shape = size if len(self.channels or (0,)) == 1 else (*size, len(self.channels or ()))
            values = np.full(shape, self.missing, np.float32)
        else:
            several = source if isinstance(source, (list, tuple)) else [source]
            parts = [self._decode(self._raw(s), s) for s in several]
            values = parts[0] if len(parts) == 1 else self._joined(parts, source)
            values = self._chosen(values, source)
        if 'ori_shape' in results:
            check_size(results, values.shape, self.key, source)
        else:  # it comes first: it is the image
            results['img_shape'] = results['ori_shape'] = values.shape[:2]
        results[self.key] = values
        results['arrays'] = (*results.get('arrays', ()), self.key)
        trace.begin(results, self.key, missing=self.missing)
        return results

    def _raw(self, source: Any) -> NDArray[Any]:
        return source if isinstance(source, np.ndarray) else self._read(str(source))

    def _joined(self, parts: list[NDArray[np.float32]], source: Any) -> NDArray[np.float32]:
        """Files side by side as channels."""
        if len({p.shape[:2] for p in parts}) > 1:
            raise ValueError(
                f'the files of {self.key} must be of one size; got {[p.shape for p in parts]} from '
                f'{[str(s) for s in source]}.'
            )
        return np.concatenate([p.reshape(*p.shape[:2], -1) for p in parts], axis=2)

    def _read(self, path: str) -> NDArray[Any]:
        if not path.endswith(('.npy', '.npz')):
            image = read_image(path, self.key)
            return _colours_of_16_bits(path) if image.info[CUT_TO_8_BITS] else np.asarray(image)
        try:
            found = np.load(path, allow_pickle=False)
            if path.endswith('.npy'):
                return np.asarray(found)
            with found:
                names = list(found.files)
                if self.name is None and len(names) != 1:
                    raise ValueError(f'it holds {names}; say which by name=')
                return np.asarray(found[self.name or names[0]])
        except FileNotFoundError as error:
            raise FileNotFoundError(f'the {self.key} file {path} does not exist.') from error
        except Exception as error:  # a broken header ends in anything
            raise ValueError(f'the {self.key} file {path} cannot be read: {error}.') from error

    def _decode(self, raw: NDArray[Any], source: Any) -> NDArray[np.float32]:
        if raw.dtype.kind not in 'iufb' or raw.ndim not in (2, 3) or not raw.size:
            raise ValueError(
                f'{self.key} must hold numbers, (H, W) or (H, W, C); got {raw.shape} {raw.dtype} '
                f'from {name_of(source)}.'
            )
        if self.dtype is not None and raw.dtype != self.dtype:
            raise ValueError(
                f'{self.key} must hold {self.dtype}; got {raw.dtype} from {name_of(source)}.'
            )
        if raw.ndim == 3 and self.first:
            raw = np.moveaxis(raw, 0, -1)
        scale = self._scale(raw.dtype, source)
        with np.errstate(over='ignore'):  # beyond float32 is not finite, thus not measured
            values = (raw / np.float32(scale)).astype(np.float32)
        values[~np.isfinite(values)] = self.missing
        return np.ascontiguousarray(values)

    def _scale(self, dtype: np.dtype[Any], source: Any) -> float:
        if self.scale != FULL:
            return float(self.scale)
        # Pillow opens 16 bits of grey as 32.
        full = {'uint8': 255.0, 'uint16': 65535.0, 'int32': 65535.0, 'bool': 1.0}.get(dtype.name)
        if full is None:
            raise ValueError(
                f"scale='full' of {self.key} needs 8 or 16 bits; got {dtype} from "
                f'{name_of(source)}.'
            )
        return full

    def _chosen(self, values: NDArray[np.float32], source: Any) -> NDArray[np.float32]:
        """The chosen channels; a single one without an axis."""
        if self.channels is not None:
            have = values.shape[2] if values.ndim == 3 else 1
            if any(not 0 <= c < have for c in self.channels):
                raise ValueError(
                    f'channels {list(self.channels)} of {self.key} must be in 0..{have - 1}, those '
                    f'of {name_of(source)}.'
                )
            values = values.reshape(*values.shape[:2], have)[..., list(self.channels)]
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        return np.ascontiguousarray(values)


def _colours_of_16_bits(path: str) -> NDArray[Any]:
    """OpenCV's reading, which Pillow has found whole before, in the order of the file."""
    image = np.asarray(cv2.imread(path, cv2.IMREAD_UNCHANGED))
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(image.shape[2] if image.ndim == 3 else 1)
    return image if order is None else image[..., order]
