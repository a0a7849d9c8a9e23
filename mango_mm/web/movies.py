"""Movies on the page: poster and plot, one of them broken, or not there at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_mm.datasets.degradations import POSTER, TEXT, degrade_poster, degrade_text
from mango_mm.datasets.mini.movies import make_movie
from mango_mm.files import decode_image
from mango_mm.models.text.vocabulary import split_words
from mango_mm.web.bench import EXAMPLES, MOST_PIXELS, Bench, Seen, data_uri, fitted

__all__ = ['Movie', 'MovieBench']

SIZE = (96, 64)  # pixels, height and width, of what the models were trained on
MOST_LETTERS = 2000  # of a plot
FIRST = 23_000_000  # number of a generated movie; the models were trained on small ones
MISSING = ('image_missing', 'text_missing')
Genres = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Movie:
    """What is known of a movie: poster (H, W, 3) uint8, or none; plot, or ``''``."""

    poster: NDArray[np.uint8] | None
    plot: str


class MovieBench(Bench[Movie, Genres]):
    """Genres of movies. The same as ``Bench``, of two classifiers of poster and plot."""

    def __init__(self, trusting: str = 'mango-trust-movies', plain: str = 'concat-movies') -> None:
        super().__init__(trusting, plain)
        self.kinds = sorted([*POSTER, *TEXT, *MISSING])
        movies = [make_movie(FIRST + i) for i in range(EXAMPLES)]
        self.examples = [Movie(movie.poster, movie.plot) for movie in movies]
        self.truths = [movie.genres for movie in movies]

    def uploaded(self, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Optional[Movie]:
        """A poster in any raster format, ``poster``, and a ``plot`` of words; one may be absent."""
        plot = ' '.join(fields.get('plot', '').split())
        if not plot and 'poster' not in files:
            return None
        if len(plot) > MOST_LETTERS:
            raise ValueError(f'a plot has {MOST_LETTERS:,} letters at most; got {len(plot):,}.')
        if plot and not split_words(plot):
            raise ValueError(f'a plot needs words; got {plot[:40]!r}.')
        poster = None
        if 'poster' in files:
            image = decode_image(files['poster'], 'poster', MOST_PIXELS).convert('RGB')
            poster = np.asarray(fitted(image, SIZE, Image.Resampling.BILINEAR))
        return Movie(poster, plot)

    def shown(self, sample: Movie) -> str:
        if sample.poster is None:
            raise ValueError('an example needs a poster to be chosen by.')
        return data_uri(sample.poster)

    def broken(self, sample: Movie, kind: str, severity: int, rng: np.random.Generator) -> Movie:
        modality = kind.partition('_')[0]
        there = sample.poster if modality == 'image' else sample.plot
        if there is None or not len(there):
            raise ValueError(f'{kind}: there is no {modality} that could break.')
        others = [x for x in self.examples if x is not sample]
        other = others[severity % len(others)]
        poster, plot = sample.poster, sample.plot
        if kind in POSTER:
            poster = degrade_poster(kind, poster, severity, rng, other.poster)  # type: ignore[arg-type]
        elif kind in TEXT:
            plot = degrade_text(kind, plot, severity, rng, other.plot)
        elif modality == 'image':
            poster = None
        else:
            plot = ''
        if poster is None and not plot:
            raise ValueError(f'{kind}: nothing would be left of this movie.')
        return Movie(poster, plot)

    def inputs(self, sample: Movie) -> dict[str, Any]:
        return {'image': sample.poster, 'text': sample.plot}

    def seen(self, given: Mapping[str, Any], result: Any, truth: Genres | None) -> Seen:
        poster = None if given['image'] is None else result['poster']
        texts = {'plot': given['text'] or 'none'}
        if truth is not None:
            texts['truth'] = ', '.join(truth) or 'none of the genres'
        return {'pictures': {} if poster is None else {'poster': data_uri(poster)}, 'texts': texts}

    def say(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return {k: result[k] for k in ('genres', 'scores', 'thresholds', 'words', 'shares')}

    def accuracy(self, result: Mapping[str, Any], truth: Genres) -> float:
        right = [(g in result['genres']) == (g in truth) for g in result['scores']]
        return sum(right) / len(right)
