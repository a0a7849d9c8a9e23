"""Inference on films: a poster and a plot in, genres with probabilities and reasons out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor
from tqdm import tqdm

from mango_mm.apis.inferencer import MangoInferencer, Sample
from mango_mm.visualization.films import draw_film

__all__ = ['FilmInferencer']


class FilmInferencer(MangoInferencer):
    """Says the genres of films, and what they hang on.

    Args:
        config: File or config the model was trained with; its test pipeline is used.
        checkpoint: File, or a work dir (its newest checkpoint); None: weights as initialised.
        device: Where it runs; None: a GPU if there is one.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'image': 'poster.jpeg', 'text': 'A sheriff ...'}, show_dir='pictures')
        result['genres']         # those above their threshold
        result['scores']         # probability of every genre
        result['words']          # (word, influence on the likeliest genre's logit)
        result['shares']         # of each modality, adding up to 1
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__(config, checkpoint, device)
        dataset = self.config.test_dataloader.dataset
        from mango_mm.datasets.mm_imdb import GENRES

        self.classes = tuple(dataset.get('genres') or GENRES)
        self.pipeline = Compose(dataset.pipeline)
        self.modalities = self.model.modalities

    def __call__(
        self,
        inputs: Sample | Iterable[Sample],
        *,
        show_dir: str | Path | None = None,
        progress: bool = True,
        **_: Any,
    ) -> Any:
        """Predict one film or several.

        Args:
            inputs: A dict, or several: ``image`` a path or an RGB array (H, W, 3) uint8,
                ``text`` a string. One of them may be None or left out.
            show_dir: Save a picture of each there.
            progress: Show a progress bar for several films.

        Returns:
            A dict as in the example, with ``nll_per_dim`` if there is a flow, or a list of
            them. The influence of a word is by how much the logit of the likeliest genre falls
            without it; a modality's share is that of the change of all logits without it.

        Raises:
            ValueError: If a film has neither image nor text, or a text is no string.
            FileNotFoundError: If the image does not exist.
        """
        single = isinstance(inputs, Mapping)
        films: Sequence[Sample] = [inputs] if isinstance(inputs, Mapping) else list(inputs)
        results = []
        for number, film in enumerate(
            tqdm(films, desc='inference', disable=single or not progress)
        ):
            result = self._predict(film)
            if show_dir is not None:
                source = film.get('image')
                stem = Path(source).stem if isinstance(source, (str, Path)) else f'{number:06d}'
                result['picture'] = draw_film(
                    result['poster'], result['scores'], result['thresholds'], result['words'],
                    result['shares'], Path(show_dir) / f'{stem}.png',
                )  # fmt: skip
            results.append(result)
        return results[0] if single else results

    def _predict(self, film: Sample) -> dict[str, Any]:
        image, text = film.get('image'), film.get('text') or ''
        if not isinstance(text, str):
            raise ValueError(f'text must be a string; got {type(text).__name__}.')
        if image is None and not text.strip():
            raise ValueError('a film needs an image or a text; got neither.')
        item = self.pipeline(
            {
                'img_path': str(image) if isinstance(image, Path) else image,
                'text': text, 'sample_id': 'given',
                'present': {'image': image is not None, 'text': bool(text.strip())},
            }
        )  # fmt: skip
        whole = self._run([item])[0]
        scores, thresholds = whole.pred_score.cpu(), whole.thresholds.cpu()
        logits = scores.logit(eps=1e-6)
        likeliest = int(scores.argmax())
        present = item['data_samples'].present
        return {
            'genres': [g for g, s, t in zip(self.classes, scores, thresholds) if s >= t],
            'scores': {g: float(s) for g, s in zip(self.classes, scores)},
            'thresholds': {g: float(t) for g, t in zip(self.classes, thresholds)},
            'words': self._words(item, logits, likeliest) if present['text'] else [],
            'shares': self._shares(item, logits),
            'poster': item['inputs']['image'].numpy().transpose(1, 2, 0)
            if 'image' in item['inputs'] else None,
            'nll_per_dim': float(whole.nll_per_dim) if 'nll_per_dim' in whole else None,
        }  # fmt: skip

    def _words(self, item: Any, logits: Tensor, likeliest: int) -> list[tuple[str, float]]:
        encoder = self.model.encoders['text'] if 'text' in self.modalities else None
        if encoder is None:
            return []
        words = encoder.words(item['inputs']['text'])
        without = [' '.join(w for k, w in enumerate(words) if k != i) for i in range(len(words))]
        # The words alone are the reference: punctuation and what was cut off are in neither.
        texts = [' '.join(words), *without]
        outputs = self._run([self._changed(item, text=text) for text in texts])
        seen = [float(o.pred_score[likeliest].cpu().logit(eps=1e-6)) for o in outputs]
        return [(word, seen[0] - value) for word, value in zip(words, seen[1:])]

    def _shares(self, item: Any, logits: Tensor) -> dict[str, float]:
        there = [m for m in self.modalities if item['data_samples'].present.get(m, True)]
        if len(there) < 2:
            return {m: float(m in there) for m in self.modalities}
        outputs = self._run([self._changed(item, absent=m) for m in there])
        change = [float((o.pred_score.cpu().logit(eps=1e-6) - logits).abs().sum()) for o in outputs]
        total = max(sum(change), 1e-12)
        shares = dict.fromkeys(self.modalities, 0.0)
        return {**shares, **{m: c / total for m, c in zip(there, change)}}

    @staticmethod
    def _changed(item: Any, *, text: str | None = None, absent: str | None = None) -> Any:
        """The same film with another text, or without a modality."""
        sample = item['data_samples'].clone()
        inputs = dict(item['inputs'])
        present = dict(sample.present)
        if text is not None:
            inputs['text'], present['text'] = text, bool(text)
        if absent is not None:
            present[absent] = False
        sample.set_metainfo({'present': present})
        return {'inputs': inputs, 'data_samples': sample}

    @torch.no_grad()
    def _run(self, items: Sequence[Any]) -> list[Any]:
        outputs: list[Any] = self.model.test_step(pseudo_collate(list(items)))
        return outputs
