"""Generated movies whose genres need both poster and plot.

A poster has a warm or a cold ground, is dark or bright, and shows discs or bars. A plot is filler
with, or without, words of love, of crime and of space. Each genre is a rule over both:

    Comedy     warm and no crime          Crime     crime and dark
    Drama      love xor dark              Romance   love and warm
    Sci-Fi     space xor discs            Thriller  crime or (dark and bars)

so that neither modality alone can tell, and a linear map of both cannot tell the two xor.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ['MINI_GENRES', 'Movie', 'make_movie']

MINI_GENRES = ('Comedy', 'Crime', 'Drama', 'Romance', 'Sci-Fi', 'Thriller')
THEMES = {
    'love': ('love', 'wedding', 'kiss', 'heart', 'bride', 'romance'),
    'crime': ('murder', 'detective', 'heist', 'gang', 'robbery', 'police'),
    'space': ('planet', 'rocket', 'alien', 'galaxy', 'robot', 'starship'),
}
FILLER = (
    'a', 'the', 'young', 'old', 'town', 'river', 'summer', 'family', 'journey', 'secret', 'return',
    'friend', 'school', 'letter', 'winter', 'house', 'finds', 'must', 'when', 'after', 'while',
    'brother', 'sister', 'village', 'city', 'forgotten', 'road', 'morning', 'window', 'learns',
)  # fmt: skip
WIDTH, HEIGHT = 64, 96  # pixels of a poster


@dataclasses.dataclass(frozen=True)
class Movie:
    """One movie: poster (H, W, 3) uint8, plot, genres."""

    poster: NDArray[np.uint8]
    plot: str
    genres: tuple[str, ...]


def make_movie(seed: int) -> Movie:
    """The movie of that number."""
    rng = np.random.default_rng(seed)
    warm, dark, discs, love, crime, space = (bool(x) for x in rng.integers(0, 2, 6))
    rules = {
        'Comedy': warm and not crime,
        'Crime': crime and dark,
        'Drama': love != dark,
        'Romance': love and warm,
        'Sci-Fi': space != discs,
        'Thriller': crime or (dark and not discs),
    }
    themes = {'love': love, 'crime': crime, 'space': space}
    genres = tuple(genre for genre in MINI_GENRES if rules[genre])
    return Movie(_poster(rng, warm=warm, dark=dark, discs=discs), _plot(rng, themes), genres)


def _poster(rng: np.random.Generator, *, warm: bool, dark: bool, discs: bool) -> NDArray[np.uint8]:
    ground = np.array([200, 120, 60] if warm else [60, 120, 200]) + rng.integers(-30, 31, 3)
    level = rng.uniform(0.3, 0.5) if dark else rng.uniform(0.9, 1.2)
    shade = tuple(int(x) for x in np.clip(ground * level, 0, 255))
    image = Image.new('RGB', (WIDTH, HEIGHT), shade)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.integers(0, WIDTH - 16), rng.integers(0, HEIGHT - 24)
        ink = tuple(int(x) for x in np.clip(np.array(shade) + rng.integers(-60, 61, 3), 0, 255))
        side = int(rng.integers(12, 22))
        if discs:
            draw.ellipse((x, y, x + side, y + side), fill=ink)
        else:
            draw.rectangle((x, y, x + side // 3, y + 2 * side), fill=ink)
    noise = rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def _plot(rng: np.random.Generator, themes: dict[str, bool]) -> str:
    words = [str(w) for w in rng.choice(FILLER, int(rng.integers(12, 25)))]
    for theme, there in themes.items():
        if there:
            for word in rng.choice(THEMES[theme], 2, replace=False):
                words.insert(int(rng.integers(0, len(words) + 1)), str(word))
    return ' '.join(words).capitalize() + '.'
