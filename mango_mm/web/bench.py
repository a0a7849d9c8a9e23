"""Two models of the zoo side by side, and what both say of a sample that breaks."""

from __future__ import annotations

import abc
import base64
import io
import threading
from collections.abc import Mapping
from typing import Any, Generic, Optional, TypeVar

import numpy as np
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray
from PIL import Image

from mango_mm.analysis.attribution import Attribution
from mango_mm.datasets.degradations import SEVERITIES
from mango_mm.inferencers import Inferencer, MangoInferencer

__all__ = ['EXAMPLES', 'MOST_PIXELS', 'PLAIN', 'TRUSTING', 'Bench', 'Seen', 'data_uri', 'fitted']

TRUSTING, PLAIN = 'MANGO with trust', 'concatenation'
EXAMPLES = 6
STEPS = 6  # of the integrated gradients
MOST_PIXELS = 12_000_000  # of an upload
SHOWN_PIXELS = 3  # of the screen, a side, for one of the picture
Seen = dict[str, dict[str, str]]
S = TypeVar('S')  # a sample
T = TypeVar('T')  # its truth


class Bench(abc.ABC, Generic[S, T]):
    """One that knows whom to trust beside concatenation, on examples that neither was trained on.

    Args:
        trusting: Name of the one.
        plain: Name of the other.

    Attributes:
        kinds: Ways in which a sensor can break.
        examples: Samples to choose from.
        truths: What is right of each.
    """

    kinds: list[str]
    examples: list[S]
    truths: list[T]

    def __init__(self, trusting: str, plain: str) -> None:
        names = {TRUSTING: trusting, PLAIN: plain}
        self.models: dict[str, Inferencer] = {t: MangoInferencer(n) for t, n in names.items()}
        self.attributions = {
            title: Attribution(infer.config, infer.model, STEPS)
            for title, infer in self.models.items()
        }
        self.first = self.models[TRUSTING]
        self.lock = threading.Lock()  # one prediction at a time: two cores gain nothing from more

    def predict(
        self, sample: S, kind: str, severity: int, truth: Optional[T] = None
    ) -> dict[str, Any]:
        """What both models say of a sample whose sensor breaks.

        Args:
            sample: What the sensors saw.
            kind: One of ``kinds``, or ``''``: none breaks.
            severity: 1 to 5.
            truth: To tell who is right.

        Returns:
            ``seen``: what the models were given; ``models``: by name ``trust``, ``alarm``,
            ``nll_per_dim``, ``contributions`` through the fusion, what :meth:`say` adds and, with
            a truth, ``accuracy``. Pictures are data URIs of PNG.

        Raises:
            ValueError: If the kind or the severity is unknown.
        """
        if kind and kind not in self.kinds:
            raise ValueError(f'kind must be one of {self.kinds}; got {kind!r}.')
        if severity not in SEVERITIES:
            raise ValueError(f'severity must be 1 to 5; got {severity}.')
        rng = np.random.default_rng([0, severity])
        with self.lock:
            given = self.inputs(self.broken(sample, kind, severity, rng) if kind else sample)
            results = {title: infer(given) for title, infer in self.models.items()}
            batch = pseudo_collate([self.first.prepare(given)])
            shares = {
                title: attribution.explain_batch(batch).by_modality
                for title, attribution in self.attributions.items()
            }
        said = {}
        for title, result in results.items():
            said[title] = {k: result[k] for k in ('trust', 'alarm', 'nll_per_dim')}
            said[title] |= {'contributions': shares.get(title, {}), **self.say(result)}
            if truth is not None:
                said[title]['accuracy'] = self.accuracy(result, truth)
        return {'seen': self.seen(given, results[TRUSTING], truth), 'models': said}

    @abc.abstractmethod
    def uploaded(self, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Optional[S]:
        """The sample of a form; None if it has none, and an example is meant.

        Raises:
            ValueError: If it is no sample, too large, or of another kind.
        """

    @abc.abstractmethod
    def shown(self, sample: S) -> str:
        """A data URI of an example, to choose it by."""

    @abc.abstractmethod
    def broken(self, sample: S, kind: str, severity: int, rng: np.random.Generator) -> S:
        """A sample whose sensor is broken."""

    @abc.abstractmethod
    def inputs(self, sample: S) -> dict[str, Any]:
        """A sample as the inferencers take it."""

    @abc.abstractmethod
    def seen(self, given: Mapping[str, Any], result: Any, truth: Optional[T]) -> Seen:
        """What the models were given: ``pictures`` and ``texts`` by title."""

    @abc.abstractmethod
    def say(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """What is shown of an inferencer's result."""

    @abc.abstractmethod
    def accuracy(self, result: Mapping[str, Any], truth: T) -> float:
        """Share of a result that is right."""


def fitted(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    """The largest centred part of the aspect of a size (height, width), scaled to it."""
    height, width = size
    scale = min(image.width / width, image.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - w) // 2, (image.height - h) // 2
    return image.crop((left, top, left + w, top + h)).resize((width, height), how)


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) uint8, enlarged, for a page."""
    image = Image.fromarray(picture)
    size = (image.width * SHOWN_PIXELS, image.height * SHOWN_PIXELS)
    file = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(file, format='PNG')
    return f'data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}'
