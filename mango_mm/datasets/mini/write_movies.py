"""Write generated movies in the raw layout of MM-IMDB."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mango_mm.datasets.mini.movies import make_movie
from mango_mm.files import is_made, made_whole

__all__ = ['write_movies']


def write_movies(
    root: str | Path, *, train: int = 1200, dev: int = 200, test: int = 200, seed: int = 0
) -> Path:
    """Write ``split.json`` and ``dataset/``; does nothing if exactly it is there already.

    Args:
        root: Folder to write to.
        train: Movies for training.
        dev: Movies for validation.
        test: Movies for testing.
        seed: Another seed, other movies.

    Returns:
        ``root``.

    Raises:
        ValueError: If a number is negative, or ``root`` holds something else.
    """
    root = Path(root)
    if min(train, dev, test) < 0:
        raise ValueError(f'numbers of movies must be positive; got {train}, {dev}, {test}.')
    recipe = f'{train} {dev} {test} {seed} v1'
    if not is_made(root, recipe):
        with made_whole(root, recipe) as folder:
            _write(folder, train, dev, test, seed)
    return root


def _write(root: Path, train: int, dev: int, test: int, seed: int) -> None:
    (root / 'dataset').mkdir(exist_ok=True)
    total, splits, first = train + dev + test, {}, 0
    for split, count in (('train', train), ('dev', dev), ('test', test)):
        splits[split] = [f'{i:07d}' for i in range(first, first + count)]
        first += count
    for number in tqdm(range(total), desc='movies', unit='movie'):
        movie = make_movie(seed * 1_000_003 + number)
        path = root / 'dataset' / f'{number:07d}'
        Image.fromarray(movie.poster).save(path.with_suffix('.jpeg'), quality=92)
        written = {'title': f'Movie {number}', 'plot': [movie.plot], 'genres': list(movie.genres)}
        path.with_suffix('.json').write_text(json.dumps(written))
    (root / 'split.json').write_text(json.dumps(splits))
