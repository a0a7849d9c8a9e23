"""Did every modality go where the image and its labels went? Found out, not assumed.

mmseg's geometric transforms move whatever ``seg_fields`` names, with nearest-neighbour
interpolation, and fill what comes from nowhere with the ignored label: 255, which in a depth map
would be a wall 255 metres away. Others (Albu, mmcv's own) move the image and the labels alone. So
measured modalities travel with a *trace*: a map that says of every pixel which pixel of the loaded
frame it was. It is negative, so that any filling of a host's (0, 255, ...) is none of its values.

Where the modalities are stacked the trace is read: what comes from nowhere is *missing*; what
comes from a pixel must still have that pixel's value; and a label map that was loaded before any
transform must have followed the same trace.

The values of a trace are -1 - (number of the frame * 2^28 + position in it), exact in float64,
which OpenCV's functions take. The number keeps a mosaic's frames apart.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['Trace', 'accept', 'begin', 'fill_missing', 'follow_labels']

FIELD = 'pixel_trace'
STATE = 'measured'  # results[STATE]: what is known of the measured modalities of a sample
SHIFT = 28
POSITIONS = 1 << SHIFT  # pixels of a frame at most
WHAT_MOVES_ALL = (
    "mmseg's own Resize, RandomResize, RandomCrop, RandomFlip, RandomRotate, "
    'RandomMosaic and RandomCutOut move all modalities alike'
)


class Trace:
    """What is known of a sample's measured modalities.

    Attributes:
        frame: Height and width as loaded.
        number: Of the frame, from its path.
        missing: By key, the value that means no measurement.
        sources: By key, the arrays as loaded, unchanged by any transform.
        labels: The label map as loaded, or None.
    """

    def __init__(self, frame: tuple[int, int], number: int) -> None:
        self.frame, self.number = frame, number
        self.missing: dict[str, float] = {}
        self.sources: dict[str, NDArray[Any]] = {}
        self.labels: NDArray[Any] | None = None

    def fresh(self) -> NDArray[np.float64]:
        """The trace of a frame that nothing has moved, (H, W)."""
        height, width = self.frame
        first = -1.0 - self.number * POSITIONS
        return np.arange(first, first - height * width, -1.0).reshape(height, width)


def begin(results: dict[str, Any], key: str, *, missing: float | None) -> None:
    """Let a modality just loaded travel with a trace.

    Args:
        results: The sample; ``results[key]`` is (H, W) or (H, W, C).
        key: Of the modality.
        missing: What means no measurement; the modality moves as ``seg_fields`` do. None: an
            image, which the hosts do not move: it has to be stacked before they move anything.
    """
    frame = tuple(results[key].shape[:2])
    fields = results.setdefault('seg_fields', [])
    known = results.get(STATE)
    if known is None or known.frame != frame or FIELD not in results:
        paths = [results.get('img_path'), results.get(f'{key}_path')]
        name = next((str(p) for p in paths if p is not None and not isinstance(p, np.ndarray)), '')
        known = results[STATE] = Trace(frame, zlib.crc32(name.encode()) % 2**20)
        results[FIELD] = known.fresh()
    wanted = (FIELD,) if missing is None else (key, FIELD)
    fields.extend(f for f in wanted if f not in fields)
    if missing is not None:
        known.missing[key] = missing
    accept(results, key)


def accept(results: dict[str, Any], key: str) -> None:
    """Take a modality as it is now for measured, after a transform that changes values on purpose.

    Call it in a transform of your own (noise, scaling), before anything is moved.
    """
    known = results.get(STATE)
    if known is not None and results[key].shape[:2] == known.frame:
        known.sources[key] = results[key].copy()


def cropped(results: dict[str, Any]) -> None:
    """Begin anew after all modalities were cut to the size of the labels."""
    known = results.get(STATE)
    if known is None:
        return
    known.frame = tuple(results[FIELD].shape[:2])
    results[FIELD] = known.fresh()
    for key in known.sources:
        accept(results, key)


def follow_labels(results: dict[str, Any]) -> None:
    """Let the labels just loaded be compared with the trace, unless something was moved before."""
    known, labels = results.get(STATE), results['gt_seg_map']
    if known is not None and labels.shape == known.frame and _untouched(results[FIELD], known):
        known.labels = labels.copy()


def fill_missing(results: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Set what came from nowhere to missing, in all measured modalities of ``keys``, in place.

    Raises:
        ValueError: If a modality or the labels were moved otherwise than the rest.
    """
    known: Trace | None = results.get(STATE)
    if known is None or FIELD not in results:
        return
    trace = results[FIELD]
    done = results.get('stacked', ())
    checked = [key for key in keys if key in known.sources and key not in done]
    if not checked:
        return
    for key in checked:
        if results[key].shape[:2] != trace.shape:
            raise ValueError(_of_another_size(results, key, trace.shape))
        if key not in known.missing and not _untouched(trace, known):
            raise ValueError(
                f'{key!r} was loaded as an image, and a transform between loading and '
                'StackModalities moved the rest without it. Stack it before: '
                f"StackModalities(keys=['img', {key!r}]) right after loading."
            )
    place = (-1.0 - trace).astype(np.int64)
    inside = place >= 0
    whole = bool(inside.all())
    # Of another frame of a mosaic no source is at hand.
    own = (place >> SHIFT) == known.number
    at = slice(None) if own.all() else own.reshape(-1)
    position = place.reshape(-1)[at] & (POSITIONS - 1)
    if position.size and position.max() >= known.frame[0] * known.frame[1]:
        raise ValueError(_moved_otherwise(keys, 'interpolated between pixels, or changed'))
    for key in checked:
        if key not in known.missing:
            continue
        values, missing = results[key], known.missing[key]
        was = known.sources[key].reshape(-1, *values.shape[2:]).take(position, axis=0)
        now = values.reshape(-1, *values.shape[2:])[at]
        same = now == was
        if not same.all():  # what was taken away is no invention; NaN is not equal to itself
            same |= (now == missing) | ((now != now) & (was != was))
        if not same.all():
            wrong = np.argwhere(~same)[0][0]
            raise ValueError(
                f'{key!r} has values that were not measured there ({float(now[wrong].flat[0]):g} '
                f'where {float(was[wrong].flat[0]):g} was loaded, at {int((~same).sum())} '
                f'values): a transform between loading and StackModalities interpolated, shifted '
                f'or changed it. {WHAT_MOVES_ALL}; put photometric ones on img alone. A transform '
                'of your own that changes it on purpose calls '
                'mango_mm.datasets.transforms.trace.accept(results, key).'
            )
        if not whole:
            results[key] = values.copy()
            results[key][~inside] = missing
    _check_labels(results, known, own.shape, at, position)
    rest = [key for key in known.missing if key not in keys and key in results]
    if not rest:
        del results[FIELD], results[STATE]
        results['seg_fields'] = [f for f in results.get('seg_fields', ()) if f != FIELD]


def _check_labels(
    results: dict[str, Any],
    known: Trace,
    size: tuple[int, ...],
    at: slice | NDArray[np.bool_],
    position: NDArray[np.int64],
) -> None:
    labels = results.get('gt_seg_map')
    if known.labels is None or labels is None:
        return
    if labels.shape != size:
        raise ValueError(
            f'the label map has {labels.shape} pixels and the modalities {size}: a transform '
            f'between loading and StackModalities moved one of them alone. {WHAT_MOVES_ALL}; Pad '
            'comes after StackModalities.'
        )
    was, now = known.labels.reshape(-1).take(position), labels.reshape(-1)[at]
    if np.array_equal(was, now):
        return
    pairs = np.bincount(was.astype(np.int64) * 256 + now, minlength=65536).reshape(256, 256)
    # Labels may be mapped to others on the way, but each to one; filling and ignoring are free.
    if (np.count_nonzero(pairs[:255, :255], axis=1) > 1).any():
        shifted = sorted(k for k in known.missing)
        raise ValueError(
            f'the labels and {shifted} were moved differently by a transform between loading and '
            'StackModalities, as mmseg.Albu with a geometric transform, mmcv.RandomFlip and other '
            f'transforms do that know img and gt_seg_map alone. {WHAT_MOVES_ALL}.'
        )


def _untouched(trace: NDArray[np.float64], known: Trace) -> bool:
    """Whether no geometric transform has acted: a look at the corners."""
    height, width = known.frame
    first = -1.0 - known.number * POSITIONS
    return (
        trace.shape == known.frame
        and trace[0, 0] == first
        and trace[0, -1] == first - (width - 1)
        and trace[-1, -1] == first - (height * width - 1)
    )


def _of_another_size(results: dict[str, Any], key: str, size: tuple[int, ...]) -> str:
    return (
        f'modalities must be of one size to be stacked; {key!r} has '
        f'{results[key].shape[:2]} and the rest {tuple(size)}.'
    )


def _moved_otherwise(keys: tuple[str, ...], how: str) -> str:
    return (
        f'the pixels of {list(keys)} were {how} by a transform between loading and '
        f'StackModalities. {WHAT_MOVES_ALL}.'
    )
