"""What the page shows: one pair of pictures, a sensor broken or not, and what two models say."""

from __future__ import annotations

import base64
import dataclasses
import io
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray
from PIL import Image

from mango_mm.analysis.attribution import Attribution
from mango_mm.analysis.degraded_pipeline import frame_degradation
from mango_mm.datasets.degradations import applicable
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.files import decode_image, read_image, read_lines
from mango_mm.inferencers import MangoInferencer
from mango_mm.registry import TRANSFORMS, build_ours
from mango_mm.visualization.panels import colour_labels

__all__ = ['Bench', 'Pair', 'pair_of_uploads']

SIZE = (72, 96)  # pixels, height and width, of what the models were trained on
EXAMPLES = 6
STEPS = 6  # of the integrated gradients
MOST_PIXELS = 12_000_000  # of an upload
SHOWN_PIXELS = 3  # of the screen, a side, for one of the picture
ROOMS_PER_METRE = 5000  # of a generated depth file


@dataclasses.dataclass(frozen=True)
class Pair:
    """What two sensors saw: RGB (H, W, 3) uint8 and depth (H, W) float32 in metres, 0 unknown."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]


def pair_of_uploads(rgb: bytes, depth: bytes, per_metre: float) -> Pair:
    """Two uploaded pictures, cut and scaled to what the models take.

    Args:
        rgb: Of a picture, in any raster format.
        depth: Of a picture with one channel, of 8 or 16 bits.
        per_metre: Of its values.

    Raises:
        ValueError: If one is no picture, too large, or of another kind.
    """
    if not (np.isfinite(per_metre) and per_metre > 0):
        raise ValueError(f'units per metre must be positive; got {per_metre}.')
    colour = decode_image(rgb, 'RGB', MOST_PIXELS).convert('RGB')
    measured = decode_image(depth, 'depth', MOST_PIXELS)
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
        np.asarray(_fitted(colour, Image.Resampling.BILINEAR)),
        np.asarray(_fitted(metres, Image.Resampling.NEAREST)),
    )


def _fitted(image: Image.Image, how: Image.Resampling) -> Image.Image:
    """The largest centred part of the models' aspect, scaled to their size."""
    height, width = SIZE
    scale = min(image.width / width, image.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - w) // 2, (image.height - h) // 2
    return image.crop((left, top, left + w, top + h)).resize((width, height), how)


class Bench:
    """Two models of the zoo side by side: one that knows whom to trust, and concatenation.

    Args:
        trusting: Name of the one.
        plain: Name of the other.

    Attributes:
        kinds: Ways in which a sensor can break.
        examples: Pairs to choose from.
        truths: The label map of each.
    """

    def __init__(self, trusting: str = 'mango-trust-rooms', plain: str = 'concat-rooms') -> None:
        names = {'MANGO with trust': trusting, 'concatenation': plain}
        self.models = {title: MangoInferencer(name) for title, name in names.items()}
        self.attributions = {
            title: Attribution(name, None, steps=STEPS) for title, name in names.items()
        }
        self.first = next(iter(self.models.values()))
        self.kinds = sorted(applicable(self.first.modalities))
        self.examples, self.truths = _generated()
        self.lock = threading.Lock()  # one prediction at a time: two cores gain nothing from more

    def predict(
        self, pair: Pair, kind: str, severity: int, truth: NDArray[np.uint8] | None = None
    ) -> dict[str, Any]:
        """What both models say of a pair whose sensor breaks.

        Args:
            pair: What the sensors saw.
            kind: One of ``kinds``, or ``''``: none breaks.
            severity: 1 to 5.
            truth: Labels (H, W), to tell who is right where; 255 ignored.

        Returns:
            ``seen``: two pictures; ``models``: by name ``pictures``, ``trust``, ``alarm``,
            ``nll_per_dim``, ``contributions`` through the fusion, and, with a truth,
            ``accuracy``. Pictures are data URIs of PNG.

        Raises:
            ValueError: If the kind or the severity is unknown.
        """
        if kind and kind not in self.kinds:
            raise ValueError(f'kind must be one of {self.kinds}; got {kind!r}.')
        if severity not in range(1, 6):
            raise ValueError(f'severity must be 1 to 5; got {severity}.')
        with self.lock:
            rgb, depth = self._broken(pair, kind, severity)
            sample = {'rgb': rgb, 'depth': depth}
            said = {name: _say(infer(sample), truth) for name, infer in self.models.items()}
            batch = pseudo_collate([self.first.prepare(sample)])
            for name, attribution in self.attributions.items():
                said[name]['contributions'] = attribution.explain_batch(batch).by_modality
        seen = {m: said['MANGO with trust']['pictures'].pop(m) for m in self.first.modalities}
        for m in self.first.modalities:
            said['concatenation']['pictures'].pop(m)
        if truth is not None:
            seen['truth'] = data_uri(colour_labels(truth, self.first.meta['palette']))
        return {'seen': seen, 'models': said}

    def _broken(
        self, pair: Pair, kind: str, severity: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        if not kind:
            return pair.rgb, pair.depth
        if kind.endswith('frozen'):  # what it showed a while ago, in another room
            others = [x for x in self.examples if x is not pair]
            other = others[severity % len(others)]
            rgb = other.rgb if kind.startswith('rgb') else pair.rgb
            return rgb, pair.depth if kind.startswith('rgb') else other.depth
        pipeline = self.first.config.test_dataloader.dataset.pipeline
        step = frame_degradation(pipeline, self.first.modalities, kind, severity)
        seen = {'img': np.ascontiguousarray(pair.rgb[..., ::-1]), 'depth': pair.depth.copy(),
                'seg_fields': ['depth'], 'img_shape': pair.rgb.shape[:2]}  # fmt: skip
        changed = build_ours(TRANSFORMS, step)(seen)
        return np.ascontiguousarray(changed['img'][..., ::-1]), changed['depth']


def _say(result: dict[str, Any], truth: NDArray[np.uint8] | None) -> dict[str, Any]:
    bars = [title for title in result['pictures'] if result['trust'] and ' ' in title]
    answer = {
        'pictures': {
            title: data_uri(picture)
            for title, picture in result['pictures'].items()
            if title not in bars[-1:]  # the page draws bars itself
        },
        'trust': result['trust'],
        'alarm': result['alarm'],
        'nll_per_dim': result['nll_per_dim'],
    }
    if truth is not None:
        known = truth != 255
        answer['accuracy'] = float((result['label'] == truth)[known].mean())
    return answer


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) uint8, enlarged, for a page."""
    image = Image.fromarray(picture)
    size = (image.width * SHOWN_PIXELS, image.height * SHOWN_PIXELS)
    file = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(file, format='PNG')
    return f'data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}'


def _generated() -> tuple[list[Pair], list[NDArray[np.uint8]]]:
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
