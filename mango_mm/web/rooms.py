"""Rooms on the page: RGB and depth, a camera broken or not."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_mm.datasets.degradations import applicable, degrade_frame
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.files import decode_image, read_image, read_lines
from mango_mm.visualization.panels import colour_labels
from mango_mm.web.bench import EXAMPLES, MOST_PIXELS, Bench, Seen, data_uri, fitted

__all__ = ['Pair', 'RoomBench']

SIZE = (72, 96)  # pixels, height and width, of what the models were trained on
ROOMS_PER_METRE = 5000  # of a generated depth file
IGNORED = 255  # of a label map
Labels = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Pair:
    """What two sensors saw: RGB (H, W, 3) uint8 and depth (H, W) float32 in metres, 0 unknown."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


class RoomBench(Bench[Pair, Labels]):
    """Segmentation of rooms. The same as ``Bench``, of two segmentors of RGB and depth."""

    def __init__(self, trusting: str = 'mango-trust-rooms', plain: str = 'concat-rooms') -> None:
        super().__init__(trusting, plain)
        self.degradations = applicable(self.first.modalities)
        self.kinds = sorted(self.degradations)
        self.examples, self.truths = _generated()

    def uploaded(self, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Optional[Pair]:
        """Two uploaded pictures, cut and scaled to what the models take.

        ``rgb``: in any raster format; ``depth``: one channel of 8 or 16 bits, in units of which
        the field ``per_metre`` says how many a metre has.
        """
        if not files:
            return None
        lacking = [name for name in ('rgb', 'depth') if name not in files]
        if lacking:
            raise ValueError(f'an upload needs both pictures; it lacks {lacking}.')
        given = fields.get('per_metre', '1000')
        try:
            per_metre = float(given)
        except ValueError:
            raise ValueError(f'per_metre must be a number; got {given[:40]!r}.') from None
        if not (np.isfinite(per_metre) and per_metre > 0):
            raise ValueError(f'units per metre must be positive; got {per_metre}.')
        colour = decode_image(files['rgb'], 'RGB', MOST_PIXELS).convert('RGB')
        measured = decode_image(files['depth'], 'depth', MOST_PIXELS)
        if measured.mode not in ('I', 'I;16', 'I;16B', 'L', 'F'):
            raise ValueError(
                f'a depth picture has one channel of 8 or 16 bits; this one is {measured.mode!r}.'
            )
        if measured.size != colour.size:
            raise ValueError(
                f'RGB and depth must be of one size; they have {colour.size} and {measured.size}.'
            )
        metres = Image.fromarray(np.asarray(measured).astype(np.float32) / per_metre)
        return Pair(
            np.asarray(fitted(colour, SIZE, Image.Resampling.BILINEAR)),
            np.asarray(fitted(metres, SIZE, Image.Resampling.NEAREST)),
        )

    def shown(self, sample: Pair) -> str:
        return data_uri(sample.rgb)

    def broken(self, sample: Pair, kind: str, severity: int, rng: np.random.Generator) -> Pair:
        others = [x for x in self.examples if x is not sample]  # what it showed a while ago
        other = others[severity % len(others)]
        rgb, depth = degrade_frame(
            self.degradations[kind][0], sample.rgb, sample.depth, severity, rng,
            (other.rgb, other.depth),
        )  # fmt: skip
        return Pair(rgb, depth)

    def inputs(self, sample: Pair) -> dict[str, Any]:
        return {'rgb': np.ascontiguousarray(sample.rgb), 'depth': sample.depth.copy()}

    def seen(self, given: Mapping[str, Any], result: Any, truth: Labels | None) -> Seen:
        seen = {m: data_uri(result['pictures'][m]) for m in self.first.modalities}
        if truth is not None:
            seen['truth'] = data_uri(colour_labels(truth, self._palette))
        return {'pictures': seen}

    def say(self, result: Mapping[str, Any]) -> dict[str, Any]:
        left_out = [*self.first.modalities]
        if result['trust']:
            left_out.append([*result['pictures']][-1])  # the page draws bars itself
        pictures = {t: p for t, p in result['pictures'].items() if t not in left_out}
        return {'pictures': {title: data_uri(picture) for title, picture in pictures.items()}}

    def accuracy(self, result: Mapping[str, Any], truth: Labels) -> float:
        return float((result['label'] == truth)[truth != IGNORED].mean())

    @property
    def _palette(self) -> Any:
        return self.first.meta['palette']  # type: ignore[attr-defined]  # it segments


def _generated() -> tuple[list[Pair], list[Labels]]:
    """Rooms that no model was trained on."""
    pairs, truths = [], []
    with tempfile.TemporaryDirectory(prefix='mango_web_') as folder:
        root = write_rooms(Path(folder) / 'rooms', train=1, val=EXAMPLES, size=SIZE, seed=23)
        for _, line in read_lines(root / 'val.txt'):
            rgb, label, depth = (root / part for part in line.split('\t'))
            metres = np.asarray(read_image(depth, 'depth')).astype(np.float32) / ROOMS_PER_METRE
            pairs.append(Pair(np.asarray(read_image(rgb, 'RGB').convert('RGB')), metres))
            truths.append(np.asarray(read_image(label, 'label')))
    return pairs, truths
