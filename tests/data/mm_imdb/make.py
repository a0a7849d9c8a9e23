"""Tiny MM-IMDB in both published layouts, with the same movies in both.

python tests/data/mm_imdb/make.py FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = {'train': 5, 'dev': 2, 'test': 3}
VGG_MEAN_BGR = np.array([103.939, 116.779, 123.68])
GENRES = ['Drama', 'Comedy', 'Horror']
HEIGHT, WIDTH = 256, 160


def movies(seed=0):
    rng = np.random.default_rng(seed)
    for number in range(sum(SPLITS.values())):
        chosen = [g for g in GENRES if rng.random() < 0.5]
        image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        yield f'{number:07d}', chosen, image


def make_raw(root):
    root = Path(root)
    (root / 'dataset').mkdir(parents=True)
    ids = []
    for movie_id, genres, image in movies():
        ids.append(movie_id)
        plot = ['Short one.', f'The longest plot, of movie {movie_id}, about love and war.']
        text = {'title': f'T{movie_id}', 'plot': plot, 'genres': [*genres, 'News']}
        (root / 'dataset' / f'{movie_id}.json').write_text(json.dumps(text))
        # PNG inside a .jpeg name: what is read must not depend on lossy compression here.
        Image.fromarray(image).save(root / 'dataset' / f'{movie_id}.jpeg', format='PNG')
    splits, start = {}, 0
    for split, count in SPLITS.items():
        splits[split] = ids[start : start + count]
        start += count
    (root / 'split.json').write_text(json.dumps(splits))
    return root


def make_hdf5(root, with_split=True):
    import h5py

    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    everything = list(movies())
    rng = np.random.default_rng(1)
    with h5py.File(root / 'multimodal_imdb.hdf5', 'w') as file:
        images = [x[2][..., ::-1].transpose(2, 0, 1) - VGG_MEAN_BGR[:, None, None]
                  for x in everything]  # fmt: skip
        file['images'] = np.round(np.stack(images)).astype(np.int32)
        file['features'] = rng.normal(size=(len(everything), 300)).astype(np.float32)
        file['vgg_features'] = rng.normal(size=(len(everything), 4096)).astype(np.float32)
        labels = [[int(g in x[1]) for g in reversed(GENRES)] for x in everything]
        file['genres'] = np.array(labels, np.int32)
        file['genres'].attrs['target_names'] = json.dumps(list(reversed(GENRES)))
        file['imdb_ids'] = np.array([x[0] for x in everything], 'S7')
        if with_split:
            table, start = [], 0
            for split, count in SPLITS.items():
                table.append((split.encode(), b'genres', start, start + count))
                start += count
            kind = [('split', 'S5'), ('source', 'S8'), ('start', 'i8'), ('stop', 'i8')]
            file.attrs['split'] = np.array(table, dtype=kind)
    return root


if __name__ == '__main__':
    make_raw(Path(sys.argv[1]) / 'raw')
    make_hdf5(Path(sys.argv[1]) / 'hdf5')
