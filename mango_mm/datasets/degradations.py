"""How sensors fail: degradations of an RGB-D frame or of a movie, in five severities.

Each takes what it degrades and a random generator, and leaves its input as it is. Units: depth
in metres, 0 where nothing was measured; RGB 0..255.

=================  =========================================  ================================
name               what happens                               severity 1 .. 5
=================  =========================================  ================================
depth_dropout      blocks of depth are not measured           share .2 .. 1
depth_quantise     depth in steps                             .1, .2, .4, .8, 1.6 m
depth_scale        all depths too long or too short           factor 1.1, 1.25, 1.5, 2, 3 or 1/..
depth_frozen       depth of another frame                     1, 4, 16, 64, 256 frames away
shift              depth moved against RGB                    2, 4, 8, 16, 32 % of the width
rotate             depth turned against RGB                   2, 5, 10, 20, 45 degrees
rgb_blackout       RGB goes dark                              x .4, .2, .1, .03, 0
rgb_noise          Gaussian noise on RGB                      sigma 10, 20, 40, 60, 90
rgb_blur           Gaussian blur of RGB                       sigma 1, 2, 4, 6, 9 % of the width
rgb_frozen         RGB of another frame                       as depth_frozen
swapped            RGB shows depth, depth shows brightness    share of the frame .2 .. 1
image_blackout     a poster goes dark                         as rgb_blackout
image_other        blocks of another movie's poster           share of the poster .2 .. 1
text_shuffled      words in random order                      share of words .2 .. 1
text_other         the plot of another movie                   share of words .2 .. 1
=================  =========================================  ================================

Any other measured modality (thermal, lidar, bands) is degraded as depth is, under its own name
(``thermal_dropout``, ``thermal_shift``), in steps of its deviation instead of metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    'DEGRADATIONS',
    'FROZEN_STEPS',
    'SEVERITIES',
    'applicable',
    'check_degradation',
    'degrade_frame',
    'degrade_poster',
    'degrade_text',
]

Image = NDArray[Any]
Rng = np.random.Generator
SEVERITIES = (1, 2, 3, 4, 5)
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
QUANTISE_M = (0.1, 0.2, 0.4, 0.8, 1.6)
SCALES = (1.1, 1.25, 1.5, 2.0, 3.0)
SHIFTS = (0.02, 0.04, 0.08, 0.16, 0.32)
DEGREES = (2.0, 5.0, 10.0, 20.0, 45.0)
DARKNESS = (0.4, 0.2, 0.1, 0.03, 0.0)
NOISE = (10.0, 20.0, 40.0, 60.0, 90.0)
BLUR = (0.01, 0.02, 0.04, 0.06, 0.09)
FROZEN_STEPS = (1, 4, 16, 64, 256)
BLOCKS = 8  # along the longer side


def _blocks(shape: tuple[int, ...], share: float, rng: Rng) -> NDArray[np.bool_]:
    """A mask of square blocks that covers about a share of an image; all of it at 1."""
    height, width = shape[:2]
    side = max(1, math.ceil(max(height, width) / BLOCKS))
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    count = rows * columns
    chosen = np.zeros(count, bool)
    chosen[rng.permutation(count)[: round(share * count)]] = True
    grid = chosen.reshape(rows, columns).repeat(side, 0).repeat(side, 1)
    return np.asarray(grid[:height, :width])


def depth_dropout(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    lost = _like(_blocks(depth.shape, SHARES[level], rng), depth)
    return rgb, np.where(lost, np.float32(missing), depth)


def depth_quantise(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    step = np.float32(QUANTISE_M[level])
    steps = np.round(depth / step)
    if missing == 0:  # what was measured does not become missing
        steps = np.where(steps == 0, np.sign(depth), steps)
    return rgb, np.where(depth == missing, depth, steps * step).astype(np.float32)


def depth_scale(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    factor = SCALES[level] if rng.random() < 0.5 else 1 / SCALES[level]
    return rgb, np.where(depth == missing, depth, depth * np.float32(factor))


def shift(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    distance, angle = SHIFTS[level] * depth.shape[1], rng.uniform(0, 2 * math.pi)
    move = ((1, 0, distance * math.cos(angle)), (0, 1, distance * math.sin(angle)))
    return rgb, _warp(depth, np.array(move), missing)


def rotate(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    angle = DEGREES[level] * (1 if rng.random() < 0.5 else -1)
    height, width = depth.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    return rgb, _warp(depth, turn, missing)


def _warp(depth: Image, matrix: Image, missing: float) -> Image:
    """Nearest neighbours, so that no depth is invented; from outside comes what means missing."""
    size = (depth.shape[1], depth.shape[0])
    if depth.ndim == 3:  # channel by channel: OpenCV has a limit
        channels = (np.ascontiguousarray(depth[..., c]) for c in range(depth.shape[2]))
        return np.stack([_warp(c, matrix, missing) for c in channels], axis=2)
    return np.asarray(
        cv2.warpAffine(depth, matrix, size, flags=cv2.INTER_NEAREST, borderValue=float(missing))
    )


def rgb_blackout(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    return _as_bytes(rgb.astype(np.float32) * DARKNESS[level]), depth


def rgb_noise(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    noise = rng.normal(0, NOISE[level], rgb.shape).astype(np.float32)
    return _as_bytes(rgb.astype(np.float32) + noise), depth


def rgb_blur(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR[level] * rgb.shape[1])), depth


def swapped(
    rgb: Image, depth: Image, level: int, rng: Rng, missing: float = 0.0
) -> tuple[Image, Image]:
    """Each sensor's cable in the other's socket: both images in the other's range."""
    where = _blocks(depth.shape, SHARES[level], rng)
    top = float(depth.max()) or 1.0
    plane = depth if depth.ndim == 2 else depth.mean(axis=2)
    shown = _as_bytes(plane * (255 / top))[..., None]
    measured = _like(rgb.mean(axis=2).astype(np.float32) * np.float32(top / 255), depth)
    return np.where(where[..., None], shown, rgb), np.where(_like(where, depth), measured, depth)


def _like(plane: Image, values: Image) -> Image:
    """(H, W) so that it goes with (H, W) or (H, W, C)."""
    return plane if values.ndim == 2 else plane[..., None]


def _as_bytes(values: Image) -> Image:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


FRAME: dict[str, Callable[[Image, Image, int, Rng, float], tuple[Image, Image]]] = {
    'depth_dropout': depth_dropout,
    'depth_quantise': depth_quantise,
    'depth_scale': depth_scale,
    'shift': shift,
    'rotate': rotate,
    'rgb_blackout': rgb_blackout,
    'rgb_noise': rgb_noise,
    'rgb_blur': rgb_blur,
    'swapped': swapped,
}
FROZEN = ('depth_frozen', 'rgb_frozen')
POSTER = ('image_blackout', 'image_other')
TEXT = ('text_shuffled', 'text_other')
MOVIE = (*POSTER, *TEXT)
DEGRADATIONS = (*FRAME, *FROZEN, *MOVIE)


def degrade_frame(
    kind: str,
    rgb: Image,
    depth: Image,
    severity: int,
    rng: Rng,
    other: tuple[Image, Image] | None = None,
    missing: float = 0.0,
) -> tuple[Image, Image]:
    """A degraded RGB-D frame.

    Args:
        kind: See the module's table.
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 in metres.
        severity: 1 to 5.
        rng: What is random in it.
        other: RGB and depth of the other frame, for the frozen kinds.
        missing: The value of ``depth`` that means no measurement.

    Raises:
        ValueError: If kind or severity are unknown, or ``other`` is missing.
    """
    check_degradation(kind, severity, (*FRAME, *FROZEN))
    if kind in FRAME:
        image, distance = FRAME[kind](rgb, depth, severity - 1, rng, missing)
        return image.astype(np.uint8), distance.astype(np.float32)
    if other is None:
        raise ValueError(f'{kind} needs another frame; got none.')
    return (rgb, other[1]) if kind == 'depth_frozen' else (other[0], depth)


def applicable(modalities: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The degradations of a model that reads an image and measured modalities.

    Args:
        modalities: Their names; ``rgb`` is the image.

    Returns:
        By name, the kind of this module's table and the modality that takes depth's place in it.
    """
    measured = [m for m in modalities if m != 'rgb']
    if 'rgb' not in modalities or not measured:
        return {}
    first = 'depth' if 'depth' in measured else measured[0]
    found = {}
    for kind in (*FRAME, *FROZEN):
        if kind.startswith('rgb') or kind == 'swapped':
            found[kind] = (kind, first)
            continue
        for m in measured:
            named = kind.replace('depth', m) if kind.startswith('depth') else f'{m}_{kind}'
            found[kind if m == 'depth' else named] = (kind, m)
    return found


def degrade_poster(
    kind: str, image: Image, severity: int, rng: Rng, other: Image | None = None
) -> Image:
    """A degraded poster, (H, W, 3) uint8.

    Args:
        kind: See the module's table.
        image: (H, W, 3) uint8.
        severity: 1 to 5.
        rng: What is random in it.
        other: Another movie's poster of the same size, for ``image_other``.

    Raises:
        ValueError: If kind or severity are unknown, or ``other`` is missing.
    """
    check_degradation(kind, severity, POSTER)
    if kind == 'image_blackout':
        return rgb_blackout(image, image, severity - 1, rng)[0]
    if other is None:
        raise ValueError(f'{kind} needs another poster; got none.')
    return np.where(_blocks(image.shape, SHARES[severity - 1], rng)[..., None], other, image)


def degrade_text(kind: str, text: str, severity: int, rng: Rng, other: str = '') -> str:
    """A degraded plot; ``other`` is the plot of another movie, for ``text_other``.

    Raises:
        ValueError: If kind or severity are unknown.
    """
    check_degradation(kind, severity, TEXT)
    words = text.split()
    count = round(SHARES[severity - 1] * len(words))
    places = np.sort(rng.permutation(len(words))[:count])
    if kind == 'text_shuffled':
        moved = [words[i] for i in rng.permutation(places)]
    else:
        source = other.split() or ['']
        moved = [source[i % len(source)] for i in range(count)]
    for place, word in zip(places, moved):
        words[place] = word
    return ' '.join(words)


def check_degradation(kind: str, severity: int, known: tuple[str, ...] = DEGRADATIONS) -> None:
    """Raise a ValueError unless kind and severity exist."""
    if kind not in known:
        raise ValueError(f'degradation must be one of {known}; got {kind!r}.')
    if severity not in SEVERITIES:
        raise ValueError(f'severity must lie in 1..5; got {severity!r}.')
