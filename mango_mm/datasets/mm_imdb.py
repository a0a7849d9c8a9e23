"""MM-IMDB: genres of movies from poster and plot.

Source and licence:
    http://lisi1.unal.edu.co/mmimdb (Arevalo et al., 2017), for research; 25,959 movies.
Layout on disk:
    ``raw``   ``split.json`` (lists of ids under train, dev, test), ``dataset/{id}.json`` with
              ``plot`` (list of strings) and ``genres``, ``dataset/{id}.jpeg``.
    ``hdf5``  ``multimodal_imdb.hdf5``: rows in the order of the splits, which the file's
              attribute ``split`` or :data:`HDF5_ROWS` gives; ``images`` (N, 3, 256, 160) int32 in
              BGR less the VGG mean, ``features`` (N, 300) word2vec means of the plot,
              ``vgg_features`` (N, 4096), ``genres`` (N, C) with the attribute
              ``target_names`` (JSON), ``imdb_ids``.
Modalities:
    ``text``   the longest string of ``plot`` (raw), str, may be empty; or 300 features (hdf5).
    ``image``  poster, uint8 RGB, any size (raw) or 256 x 160 (hdf5).
Classes:
    23 genres of :data:`GENRES`; News, Adult, Talk-Show and Reality-TV are in no benchmark.
Splits:
    train 15,552, dev 2,608, test 7,799; report dev and test apart.
Citation:
    Arevalo, Solorio, Montes-y-Gomez, Gonzalez: Gated Multimodal Units for Information Fusion.
    ICLR 2017 workshop, https://arxiv.org/abs/1702.01992.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from mango_mm.datasets.draws import SeededDraws
from mango_mm.files import open_hdf5, read_json
from mango_mm.hosts import require_host
from mango_mm.registry import DATASETS

__all__ = ['GENRES', 'MMIMDbDataset']

LAYOUTS = ('raw', 'hdf5')
SPLITS = ('train', 'dev', 'test')
POLICIES = ('error', 'drop')
GENRES = (
    'Action', 'Adventure', 'Animation', 'Biography', 'Comedy', 'Crime', 'Documentary', 'Drama',
    'Family', 'Fantasy', 'Film-Noir', 'History', 'Horror', 'Music', 'Musical', 'Mystery',
    'Romance', 'Sci-Fi', 'Short', 'Sport', 'Thriller', 'War', 'Western',
)  # fmt: skip
HDF5_ROWS = {'train': (0, 15552), 'dev': (15552, 18160), 'test': (18160, 25959)}
HDF5_TABLES = {'genres': 2, 'images': 4, 'features': 2, 'vgg_features': 2}  # axes
VGG_MEAN_BGR = np.array([103.939, 116.779, 123.68])[:, None, None]
WANTED = ('plot', 'genres')  # of a movie's JSON
SAFE_ID = re.compile(r'[\w-]+')


@DATASETS.register_module()
class MMIMDbDataset(SeededDraws, BaseDataset):
    """Movies with poster, plot and genres.

    A movie without a plot or, where ``missing='drop'`` allows it, without a poster is kept:
    ``present`` says which modalities it has. A movie with none of the classes is kept too, with
    no positive label; how many there are is logged.

    Args:
        split: ``'train'``, ``'dev'`` or ``'test'``.
        layout: ``'raw'`` or ``'hdf5'``.
        ann_file: ``split.json``, or the HDF5 file, relative to ``data_root``.
        genres: The classes, in order; None: the 23, or those the HDF5 file names.
        unknown_genres: ``'drop'`` those that are no class (logged), or ``'error'``.
        missing: A movie whose JSON is not there: ``'error'``, or ``'drop'`` the movie. A poster
            that is not there: ``'error'``, or keep the movie without it. Both are logged.
        **others: The same as in mmengine's BaseDataset.

    Raises:
        FileNotFoundError: If a file is missing; names it and the list.
        ValueError: If a file is not what the layout says, an id is listed twice, or a
            genre is no class and ``unknown_genres='error'``.
    """

    METAINFO = {'dataset_type': 'mm_imdb', 'task_name': 'multi-label classification'}

    def __init__(
        self,
        split: str,
        layout: str = 'raw',
        ann_file: str | None = None,
        genres: Sequence[str] | None = None,
        unknown_genres: str = 'drop',
        missing: str = 'error',
        **others: Any,
    ) -> None:
        for name, value, allowed in (
            ('split', split, SPLITS), ('layout', layout, LAYOUTS),
            ('unknown_genres', unknown_genres, POLICIES), ('missing', missing, POLICIES),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f'{name} must be one of {allowed}; got {value!r}.')
        self.split, self.layout = split, layout
        self.unknown_genres, self.missing = unknown_genres, missing
        self.given = None if genres is None else tuple(genres)
        self.counts: Counter[str] = Counter()
        if ann_file is None:
            ann_file = 'split.json' if layout == 'raw' else 'multimodal_imdb.hdf5'
        metainfo = {**others.pop('metainfo', {}), 'classes': self.given or GENRES}
        super().__init__(ann_file=ann_file, metainfo=metainfo, **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist; tools/prepare/mm_imdb.py says what a download should hold.'
            )
        movies = self._read_raw(path) if self.layout == 'raw' else self._read_hdf5(path)
        if not movies:
            raise ValueError(f'{path} lists no movie for the split {self.split!r}.')
        self.counts['movies without a class'] = sum(not movie['gt_label'].any() for movie in movies)
        noted = ', '.join(f'{n} {what}' for what, n in sorted(self.counts.items()) if n)
        print_log(
            f'{len(movies)} movies of {self.split}' + (f': {noted}' if noted else ''), 'current'
        )
        return movies

    # ---- raw ----

    def _read_raw(self, path: Path) -> list[dict[str, Any]]:
        splits = read_json(path)
        ids = splits.get(self.split) if isinstance(splits, dict) else None
        if not isinstance(ids, list):
            raise ValueError(
                f'{path} must hold a list of ids under {self.split!r}; '
                f'got {type(splits if ids is None else ids).__name__}.'
            )
        bad = [i for i in ids if not isinstance(i, str) or not SAFE_ID.fullmatch(i)]
        if bad:
            raise ValueError(f'{path}: ids must be words; got {bad[:3]}.')
        twice = [i for i, n in Counter(ids).items() if n > 1]
        if twice:
            raise ValueError(f'{path} lists {twice[:3]} more than once under {self.split!r}.')
        folder = path.parent / 'dataset'
        movies = [self._read_movie(folder, i, path) for i in ids]
        return [movie for movie in movies if movie is not None]

    def _read_movie(self, folder: Path, movie_id: str, listed: Path) -> dict[str, Any] | None:
        path = folder / f'{movie_id}.json'
        if not path.is_file():
            if self.missing == 'error':
                raise FileNotFoundError(
                    f'{listed} lists {movie_id} under {self.split!r}, but {path} does not exist; '
                    "missing='drop' leaves such movies out."
                )
            self.counts['listed, but not there'] += 1
            return None
        movie = read_json(path)
        plots, genres = (movie.get(k) if isinstance(movie, dict) else None for k in WANTED)
        plots = [plots] if isinstance(plots, str) else plots
        for name, value in zip(WANTED, (plots, genres)):
            if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
                raise ValueError(
                    f'{path} must hold {name}, a list of strings; got {str(value)[:80]!r}.'
                )
        plot = max(plots, key=len, default='').strip()
        poster: Path | None = folder / f'{movie_id}.jpeg'
        if not folder.joinpath(f'{movie_id}.jpeg').is_file():
            if self.missing == 'error':
                raise FileNotFoundError(
                    f"the poster {poster} does not exist; missing='drop' keeps the movie "
                    'without it.'
                )
            self.counts['without a poster'] += 1
            poster = None
        if not plot:
            self.counts['without a plot'] += 1
        return {
            'sample_id': movie_id,
            'title': str(movie.get('title', '')),
            'text': plot,
            'img_path': None if poster is None else str(poster),
            'gt_label': self._label(genres, path),
            'present': {'image': poster is not None, 'text': bool(plot)},
        }

    def _label(self, genres: Sequence[str], path: Path) -> NDArray[np.float32]:
        classes = self.metainfo['classes']
        unknown = [g for g in genres if g not in classes]
        if unknown and self.unknown_genres == 'error':
            raise ValueError(f'{path}: the classes are {classes}; got {unknown}.')
        self.counts['genres that are no class'] += len(unknown)
        return np.array([c in genres for c in classes], dtype=np.float32)

    # ---- HDF5 ----

    def _read_hdf5(self, path: Path) -> list[dict[str, Any]]:
        require_host('h5py', "MMIMDbDataset(layout='hdf5')")
        try:
            with open_hdf5(path, *HDF5_TABLES, 'imdb_ids') as file:
                return self._movies_of(file, path)
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError, KeyError, TypeError) as error:  # h5py's, on broken files
            raise ValueError(f'{path} cannot be read as HDF5: {error}.') from error

    def _movies_of(self, file: Any, path: Path) -> list[dict[str, Any]]:
        for key, axes in HDF5_TABLES.items():
            if key not in file:
                raise ValueError(f'{path} must hold {key!r}; it has {sorted(file)}.')
            table = file[key]
            if len(table.shape) != axes or len(table) != len(file['genres']):
                raise ValueError(
                    f'{path}: {key!r} must have {axes} axes and as many rows as genres; '
                    f'got {table.shape} with genres {file["genres"].shape}.'
                )
            if table.dtype.kind not in 'iufb':
                raise ValueError(f'{path}: {key!r} must hold numbers; got {table.dtype}.')
        try:
            names = json.loads(file['genres'].attrs['target_names'])
        except (KeyError, ValueError, TypeError) as error:
            names = error
        if not isinstance(names, list) or len(names) != file['genres'].shape[1]:
            raise ValueError(
                f'{path}: target_names of genres must be a JSON list of '
                f'{file["genres"].shape[1]} names; got {str(names)[:80]!r}.'
            )
        classes = self.given or tuple(names)
        lacking = [c for c in classes if c not in names]
        if lacking:
            raise ValueError(f'{path} has the genres {names}; {lacking} are not among them.')
        start, stop = self._rows(file, path)
        labels = file['genres'][start:stop][:, [names.index(c) for c in classes]]
        if not np.isin(labels, (0, 1)).all():
            raise ValueError(f'{path}: genres must be 0 or 1.')
        ids = file['imdb_ids'][start:stop] if 'imdb_ids' in file else range(start, stop)
        if len(ids) != stop - start:
            raise ValueError(f'{path}: imdb_ids has {len(ids)} of the rows {start}..{stop}.')
        ids = [i.decode(errors='replace') if isinstance(i, bytes) else str(i) for i in ids]
        self._metainfo['classes'] = classes
        return [
            {
                'sample_id': movie_id, 'title': '', 'hdf5_path': str(path), 'row': start + i,
                'gt_label': label.astype(np.float32), 'present': {'image': True, 'text': True},
            }
            for i, (movie_id, label) in enumerate(zip(ids, labels))
        ]  # fmt: skip

    def _rows(self, file: Any, path: Path) -> tuple[int, int]:
        """First and last row of the split: the file's own table, or the release's numbers."""
        count = len(file['genres'])
        if 'split' in file.attrs:
            for entry in file.attrs['split']:
                name = entry['split']
                if (name.decode() if isinstance(name, bytes) else name) == self.split:
                    start, stop = int(entry['start']), int(entry['stop'])
                    if not 0 <= start <= stop <= count:
                        raise ValueError(
                            f'{path} has {count} rows; its split {self.split!r} asks for '
                            f'{start}..{stop}.'
                        )
                    return start, stop
            raise ValueError(f'{path} names no split {self.split!r}.')
        if count != HDF5_ROWS['test'][1]:
            raise ValueError(
                f'{path} has no attribute "split" and {count} rows, not the '
                f'{HDF5_ROWS["test"][1]} of the release.'
            )
        return HDF5_ROWS[self.split]


class Hdf5Rows:
    """Rows of HDF5 files; every process opens them for itself, when it first reads."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], Any] = {}
        self._opened = contextlib.ExitStack()  # closes them with the reader

    def read(self, path: str, key: str, row: int) -> NDArray[Any]:
        """One row of a data set in a file."""
        import os

        # An HDF5 handle must not cross a fork.
        handle = (os.getpid(), path)
        if handle not in self._open:
            self._open[handle] = self._opened.enter_context(open_hdf5(path, *HDF5_TABLES))
        try:
            values: NDArray[Any] = self._open[handle][key][row]
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError(f'{path}, {key}, row {row}: cannot be read: {error}.') from error
        if not np.isfinite(values).all():
            raise ValueError(f'{path}, {key}, row {row}: holds values that are not finite.')
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {'_open': {}, '_opened': contextlib.ExitStack()}


def decode_vgg_image(stored: NDArray[Any]) -> NDArray[np.uint8]:
    """A stored image (3, H, W), BGR less the VGG mean, as RGB (H, W, 3) uint8."""
    bgr = np.clip(np.round(stored + VGG_MEAN_BGR), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(bgr[::-1].transpose(1, 2, 0))
