"""Inference on movies: a poster and a plot in, genres with probabilities and reasons out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from torch import Tensor

from mango_mm.datasets.mm_imdb import GENRES
from mango_mm.inferencers.base import Inferencer, Result, Sample, trust_of
from mango_mm.visualization.movies import draw_movie

__all__ = ['MovieInferencer']


class MovieInferencer(Inferencer):
    """Says the genres of movies, and what they hang on.

    A sample has ``image``, a path or an RGB array (H, W, 3) uint8, and ``text``, a string; one of
    them may be None or left out. A result is a dict as in the example, with ``nll_per_dim`` if
    there is a flow, and ``trust`` and ``alarm`` of a model that knows whom to trust. The influence
    of a word is by how much the logit of the likeliest genre falls without it; a modality's share
    is that of the change of all logits without it.

    Args:
        config: Its test pipeline is used.
        model: A ``MultimodalClassifier``.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'image': 'poster.jpeg', 'text': 'A sheriff ...'}, show_dir='pictures')
        result['genres']         # those above their threshold
        result['scores']         # probability of every genre
        result['words']          # (word, influence on the likeliest genre's logit)
        result['shares']         # of each modality, adding up to 1
    """

    optional = True

    def __init__(self, config: Config, model: Any) -> None:
        super().__init__(config, model)
        dataset = config.test_dataloader.dataset
        self.classes = tuple(dataset.get('genres') or GENRES)
        self.pipeline = Compose(dataset.pipeline)
        self.modalities = ('image', 'text')

    def prepare(self, sample: Sample) -> dict[str, Any]:
        image, text = sample.get('image'), sample.get('text') or ''
        if not isinstance(text, str):
            raise ValueError(f'text must be a string; got {type(text).__name__}.')
        if image is None and not text.strip():
            raise ValueError('a movie needs an image or a text; got neither.')
        packed: dict[str, Any] = self.pipeline(
            {
                'img_path': str(image) if isinstance(image, Path) else image,
                'text': text, 'sample_id': 'given',
                'present': {'image': image is not None, 'text': bool(text.strip())},
            }
        )  # fmt: skip
        return packed

    def result(
        self, sample: Sample, item: dict[str, Any], output: Any, path: Path | None
    ) -> Result:
        scores, thresholds = output.pred_score.cpu(), output.thresholds.cpu()
        logits = scores.logit(eps=1e-6)
        likeliest = int(scores.argmax())
        present = item['data_samples'].present
        result: Result = {
            'genres': [g for g, s, t in zip(self.classes, scores, thresholds) if s >= t],
            'scores': {g: float(s) for g, s in zip(self.classes, scores)},
            'thresholds': {g: float(t) for g, t in zip(self.classes, thresholds)},
            'words': self._words(item, likeliest) if present['text'] else [],
            'shares': self._shares(item, logits),
            'poster': item['inputs']['image'].numpy().transpose(1, 2, 0)
            if 'image' in item['inputs'] else None,
            'nll_per_dim': float(output.nll_per_dim) if 'nll_per_dim' in output else None,
            **trust_of(output),
        }  # fmt: skip
        if path is not None:
            result['picture'] = draw_movie(
                result['poster'], result['scores'], result['thresholds'], result['words'],
                result['shares'], path,
            )  # fmt: skip
        return result

    def _words(self, item: Any, likeliest: int) -> list[tuple[str, float]]:
        encoder = self.model.encoders['text'] if 'text' in self.model.modalities else None
        if encoder is None:
            return []
        words = encoder.words(item['inputs']['text'])
        without = [' '.join(w for k, w in enumerate(words) if k != i) for i in range(len(words))]
        # The words alone are the reference: punctuation and what was cut off are in neither.
        texts = [' '.join(words), *without]
        outputs = self.run([self._changed(item, text=text) for text in texts])
        seen = [float(o.pred_score[likeliest].cpu().logit(eps=1e-6)) for o in outputs]
        return [(word, seen[0] - value) for word, value in zip(words, seen[1:])]

    def _shares(self, item: Any, logits: Tensor) -> dict[str, float]:
        there = [m for m in self.model.modalities if item['data_samples'].present.get(m, True)]
        if len(there) < 2:
            return {m: float(m in there) for m in self.model.modalities}
        outputs = self.run([self._changed(item, absent=m) for m in there])
        change = [float((o.pred_score.cpu().logit(eps=1e-6) - logits).abs().sum()) for o in outputs]
        total = max(sum(change), 1e-12)
        shares = dict.fromkeys(self.model.modalities, 0.0)
        return {**shares, **{m: c / total for m, c in zip(there, change)}}

    @staticmethod
    def _changed(item: Any, *, text: str | None = None, absent: str | None = None) -> Any:
        """The same movie with another text, or without a modality."""
        sample = item['data_samples'].clone()
        inputs = dict(item['inputs'])
        present = dict(sample.present)
        if text is not None:
            inputs['text'], present['text'] = text, bool(text)
        if absent is not None:
            present[absent] = False
        sample.set_metainfo({'present': present})
        return {'inputs': inputs, 'data_samples': sample}
