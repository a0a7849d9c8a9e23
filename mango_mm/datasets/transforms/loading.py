"""Loading images, depth and labels, with errors that name the file.

Depth leaves this file in metres, float32, with 0 where there is no measurement, or
unit-free in 0..1 where the file holds a per-image range. It joins ``seg_fields``, so
that every geometric transform of mmseg moves it together with the image and the
labels, with nearest-neighbour interpolation: no depth is ever invented between two
surfaces, and 0 stays 0. What a transform fills in becomes missing, and one that leaves
depth behind is found out: see ``trace``.

Decoding is Pillow's, because OpenCV returns a truncated file as a half-gray image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mango_mm.datasets.transforms import trace
from mango_mm.files import read_image
from mango_mm.registry import TRANSFORMS

__all__ = [
    'LoadDepth',
    'LoadImage',
    'LoadSegmentation',
    'check_size',
    'name_of',
    'read_rgb',
    'size_without',
    'source_of',
]

ENCODINGS = ('metric', 'sun', 'relative', 'metres')
SUN_MAX_M = 8.0  # the toolbox of SUN RGB-D cuts there


def read_rgb(source: Any, what: str) -> NDArray[np.uint8]:
    """An image of 8 bits per channel as RGB, (H, W, 3); grey becomes three equal channels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As :func:`read_image`, and if it has more than 8 bits per channel, which a
            conversion would cut off without a word.
    """
    image = read_image(source, what)
    if image.mode[:1] in ('I', 'F'):
        raise ValueError(
            f'{what} must have 8 bits per channel; got mode {image.mode} from {source}.'
        )
    return np.array(image.convert('RGB'))


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load an 8-bit colour image in BGR, as mmseg's photometric transforms expect it.

    Args:
        key: Where it goes. ``'img'`` also sets ``img_shape`` and ``ori_shape``; any
            other key (``'hha'``) must have the size of the image before it.
        path_key: Where its path, or an RGB array (H, W, 3) uint8, is found.
    """

    def __init__(self, key: str = 'img', path_key: str | None = None) -> None:
        self.key = key
        self.path_key = path_key or f'{key}_path'

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        source = source_of(results, self.path_key, type(self).__name__)
        if source is None:
            rgb = np.zeros((*size_without(results, self.key), 3), np.uint8)
        elif isinstance(source, np.ndarray):
            rgb = source
        else:
            rgb = read_rgb(source, self.key)
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(
                f'{self.key} must be (H, W, 3) uint8; got {rgb.shape} {rgb.dtype} '
                f'from {name_of(source)}.'
            )
        results[self.key] = np.ascontiguousarray(rgb[..., ::-1])
        if self.key == 'img' or 'ori_shape' not in results:
            results['img_shape'] = results['ori_shape'] = rgb.shape[:2]
        if self.key != 'img':
            check_size(results, rgb.shape[:2], self.key, source)
            trace.begin(results, self.key, missing=None)
        return results


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Load depth, (H, W) float32.

    Args:
        encoding: ``'metric'``: 16-bit, metres = value / scale. ``'sun'``: 16-bit,
            millimetres shifted by three bits, as in SUN RGB-D. ``'relative'``: 8-bit, a
            per-image range without unit (DFormer), to 0..1. ``'metres'``: floating point
            (.npy). An array of floating point given instead of a path is metres too.
        scale: Of ``'metric'``: 5000 (NYUDv2 lists), 1000 (millimetres), ...
        max_m: Values above are no measurement; None: no bound.
        key: Where it goes.

    Raises:
        ValueError: If the file's type is not what the encoding needs; if its size is
            not that of the image.
    """

    def __init__(
        self,
        encoding: str = 'metric',
        scale: float = 5000.0,
        max_m: float | None = None,
        key: str = 'depth',
    ) -> None:
        if encoding not in ENCODINGS:
            raise ValueError(f'encoding of depth must be one of {ENCODINGS}; got {encoding!r}.')
        self.encoding, self.scale, self.max_m, self.key = encoding, float(scale), max_m, key

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        source = source_of(results, f'{self.key}_path', type(self).__name__)
        if source is None:
            depth = np.zeros(size_without(results, self.key), np.float32)
        else:
            raw = source if isinstance(source, np.ndarray) else self._read(source)
            depth = self._decode(raw, source)
        if not depth.size:
            raise ValueError(
                f'{self.key} must have pixels; got {depth.shape} from {name_of(source)}.'
            )
        depth[~np.isfinite(depth) | (depth < 0)] = 0.0
        if self.max_m is not None:
            depth[depth > self.max_m] = 0.0
        if 'img' in results or 'ori_shape' in results:
            check_size(results, depth.shape, self.key, source)
        else:  # depth alone: it is the image
            results['img_shape'] = results['ori_shape'] = depth.shape
        results[self.key] = depth
        trace.begin(results, self.key, missing=0.0)
        return results

    def _read(self, path: str) -> NDArray[Any]:
        if str(path).endswith('.npy'):
            try:
                return np.asarray(np.load(path, allow_pickle=False))
            except Exception as error:  # a broken header ends in anything
                raise ValueError(f'the {self.key} file {path} cannot be read: {error}.') from error
        return np.asarray(read_image(path, self.key))

    def _decode(self, raw: NDArray[Any], source: Any) -> NDArray[np.float32]:
        if raw.ndim != 2:
            raise ValueError(
                f'{self.key} must have one channel; got shape {raw.shape} from {name_of(source)}. '
                'An HHA image is loaded by LoadImage(key="hha").'
            )
        if np.issubdtype(raw.dtype, np.floating):
            if not isinstance(source, np.ndarray) and self.encoding != 'metres':
                raise ValueError(
                    f'{self.key} was configured as {self.encoding!r}; got floating point from '
                    f"{name_of(source)}. Set encoding='metres'."
                )
            with np.errstate(over='ignore'):  # beyond float32 is not finite, thus not measured
                return raw.astype(np.float32)
        if raw.dtype.kind not in 'iu':
            raise ValueError(
                f'{self.key} must hold numbers; got {raw.dtype} from {name_of(source)}.'
            )
        if self.encoding == 'relative':
            if raw.dtype != np.uint8:
                raise ValueError(
                    f"encoding 'relative' needs 8-bit {self.key}; "
                    f'got {raw.dtype} from {name_of(source)}.'
                )
            return raw.astype(np.float32) / 255
        if raw.dtype == np.uint8 or self.encoding == 'metres':
            raise ValueError(
                f'{self.key} in metres (encoding {self.encoding!r}) needs '
                f'{"floating point" if self.encoding == "metres" else "a 16-bit file"}; '
                f'got {raw.dtype} from {name_of(source)}. 8-bit gray is a per-image range '
                "without unit: set encoding='relative'."
            )
        if raw.size and (raw.min() < 0 or raw.max() > 65535):  # Pillow opens 16 bits as 32
            raise ValueError(
                f'{self.key} must fit 16 bits; got {raw.min()}..{raw.max()} from {name_of(source)}.'
            )
        values = raw.astype(np.uint16)
        if self.encoding == 'sun':
            millimetres = (values >> 3) | (values << 13)
            return np.minimum(millimetres.astype(np.float32) / 1000, np.float32(SUN_MAX_M))
        return values.astype(np.float32) / np.float32(self.scale)


@TRANSFORMS.register_module()
class LoadSegmentation(BaseTransform):
    """Load a label map, (H, W) uint8, and check every value in it.

    With ``label_map`` in the results (a table of stored values and classes) what is not in it is
    ignored. With ``reduce_zero_label`` in the results (set by the dataset where 0 is void) labels
    1..K become 0..K-1 and 0 becomes the ignored label.

    Args:
        num_classes: K.
        ignore_index: The label that counts nowhere.
        channel: Of label maps of several channels, the one that holds the labels (DELIVER: 0).
        crop_inputs: Where the label map is smaller than the image, as in the lists of
            TokenFusion (white borders), crop image and depth around the centre.

    Raises:
        ValueError: If a label is out of range or the size is not that of the image.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        *,
        channel: int | None = None,
        crop_inputs: bool = False,
    ) -> None:
        self.num_classes, self.ignore_index, self.channel = num_classes, ignore_index, channel
        self.crop_inputs = crop_inputs

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        source = source_of(results, 'seg_map_path', type(self).__name__)
        if isinstance(source, np.ndarray):
            label = source
        else:
            label = np.asarray(read_image(source, 'label'))
        if label.ndim == 3 and self.channel is not None and self.channel < label.shape[2]:
            label = label[..., self.channel]
        if label.ndim != 2:
            raise ValueError(
                f'a label map must have one channel; got shape {label.shape} from '
                f'{name_of(source)}. Of several, say which in channel of LoadSegmentation.'
            )
        if label.dtype.kind not in 'iub':
            raise ValueError(
                f'a label map must hold whole numbers; got {label.dtype} from {name_of(source)}.'
            )
        if results.get('label_map') is not None:
            label = _mapped(label, results['label_map'], self.ignore_index)
        label = self._check_values(
            label, void_zero=bool(results.get('reduce_zero_label')), source=source
        )
        if self.crop_inputs and 'img' in results:
            self._crop(results, label.shape)
        check_size(results, label.shape, 'label', source)
        results['gt_seg_map'] = label
        fields = results.setdefault('seg_fields', [])
        if 'gt_seg_map' not in fields:
            fields.append('gt_seg_map')
        trace.follow_labels(results)
        return results

    def _check_values(
        self, label: NDArray[Any], *, void_zero: bool, source: Any
    ) -> NDArray[np.uint8]:
        label = label.astype(np.int64)
        low, high = (0, self.num_classes) if void_zero else (0, self.num_classes - 1)
        wrong = (label < low) | (label > high)
        wrong &= label != self.ignore_index
        if wrong.any():
            raise ValueError(
                f'labels must be {low}..{high} or {self.ignore_index}; got {label[wrong][0]} '
                f'at {int(wrong.sum())} pixels of {name_of(source)}.'
            )
        if void_zero:
            void = (label == 0) | (label == self.ignore_index)
            label = np.where(void, self.ignore_index, label - 1)
        return label.astype(np.uint8)

    @staticmethod
    def _crop(results: dict[str, Any], size: tuple[int, ...]) -> None:
        height, width = results['img'].shape[:2]
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        if top < 0 or left < 0:
            return  # the size check that follows says so
        window = (slice(top, top + size[0]), slice(left, left + size[1]))
        for key in ('img', *results.get('seg_fields', ())):
            if key in results:
                results[key] = np.ascontiguousarray(results[key][window])
        results['img_shape'] = results['ori_shape'] = size
        trace.cropped(results)


def _mapped(label: NDArray[Any], table: Mapping[int, int], ignore: int) -> NDArray[Any]:
    """Stored values as classes; what the table does not name is ignored."""
    stored = label.astype(np.int64)
    mapped = np.full_like(stored, ignore)
    for value, index in table.items():
        mapped[stored == int(value)] = index
    return mapped


def source_of(results: dict[str, Any], key: str, transform: str) -> Any:
    """What a transform loads: a path, an array, or None where the sample has none."""
    if key not in results:
        if key == 'seg_map_path':
            raise KeyError(
                f'{transform} needs a label map, which this sample lacks: the split has no labels. '
                'Leave it out of the pipeline to predict.'
            )
        raise KeyError(
            f'{transform} needs {key!r}, which this sample lacks (it has '
            f'{sorted(k for k in results if k.endswith("_path"))}); list the modality in the '
            "dataset's `modalities`."
        )
    return results[key]


def size_without(results: dict[str, Any], key: str) -> tuple[int, int]:
    """Height and width of a sample whose modality ``key`` has no file; notes that it is absent.

    A path that is None says so. The size is that of what was loaded before it, or else of any
    other file of the sample.
    """
    results['absent'] = (*results.get('absent', ()), key)
    if 'ori_shape' in results:
        height, width = results['ori_shape'][:2]
        return int(height), int(width)
    others = {k: v for k, v in results.items() if k.endswith('_path') and v is not None}
    if 'seg_map_path' in others:  # its size is that of the prediction
        others = {'seg_map_path': others['seg_map_path']}
    for name, given in others.items():
        source = given[0] if isinstance(given, (list, tuple)) else given
        if isinstance(source, np.ndarray):
            return int(source.shape[0]), int(source.shape[1])
        if str(source).endswith(('.npy', '.npz')):
            found = np.load(source, mmap_mode='r', allow_pickle=False)
            shape = (found if str(source).endswith('.npy') else found[found.files[0]]).shape
            return int(shape[0]), int(shape[1])
        width, height = read_image(source, name.removesuffix('_path')).size
        return int(height), int(width)
    raise ValueError(f'{key!r} is absent, and so is everything else of this sample.')


def name_of(source: Any) -> str:
    """What an error calls the source."""
    if source is None:
        return 'no file'
    if isinstance(source, (list, tuple)):
        return ', '.join(name_of(s) for s in source)
    return 'an array' if isinstance(source, np.ndarray) else str(source)


def check_size(results: dict[str, Any], size: tuple[int, ...], what: str, source: Any) -> None:
    """Raise unless a modality has the size of what was loaded first."""
    wanted = tuple(results['ori_shape'][:2])
    if tuple(size[:2]) != wanted:
        raise ValueError(
            f'{what} must have the size of the image, {wanted[0]} x {wanted[1]} '
            f'({name_of(results.get("img_path", "an array"))}); got {size[0]} x {size[1]} '
            f'from {name_of(source)}.'
        )
