r"""Make NYU Depth V2 as a tab-list data set from the official files.

Needs ``nyu_depth_v2_labeled.mat`` (2.8 GB, from the data's page) and ``splits.mat`` (its
toolbox). The 894 labels become 40 classes by ``classMapping40.mat`` (Gupta et al.; in
their code and in several mirrors), a file that cannot be shipped here. Without it, the 37
classes that are named are found by name and everything else is ignored: then scores are
not comparable with papers, and the tool says so.

Writes OUT/{rgb,masks,depth}/NNNNNN.png (NNNNNN = the official index, from 1; depth in
metres * 5000; masks 0..39, 255 = ignore) and OUT/{train,val}.txt. Frames that are there
already are not written again.

Example:
    python tools/prepare/nyu_depth_v2.py nyu_depth_v2_labeled.mat splits.mat \
        --class-mapping classMapping40.mat --out data/nyu_depth_v2
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.datasets.nyu_depth_v2 import NYU40_CLASSES
from mango_mm.files import is_made, made_whole
from mango_mm.hosts import require_host

DEPTH_SCALE, IGNORE = 5000, 255
BORDER = 'masks keep the white border of the images, as the official file has it'


def read_mapping(path: Path) -> np.ndarray:
    """Label 0..894 to class 0..39 or 255, from ``mapClass`` (1..40)."""
    from scipy.io import loadmat

    content = loadmat(path)
    if 'mapClass' not in content:
        raise SystemExit(f'{path} must hold mapClass; it has {sorted(content)}.')
    classes = content['mapClass'].ravel().astype(int)
    if classes.min() < 1 or classes.max() > 40:
        raise SystemExit(f'mapClass in {path} must be 1..40; got {classes.min()}..{classes.max()}.')
    return np.concatenate([[IGNORE], classes - 1]).astype(np.uint8)


def mapping_by_name(file: Any) -> np.ndarray:
    """Label to class where the names are the same, else 255."""
    names = [
        ''.join(map(chr, np.asarray(file[reference]).ravel())) for reference in file['names'][0]
    ]
    known = {name: i for i, name in enumerate(NYU40_CLASSES[:37])}
    return np.array([IGNORE, *(known.get(name, IGNORE) for name in names)], dtype=np.uint8)


def read_split(path: Path) -> dict[str, list[int]]:
    """Official indices, from 1, of train and val (= the official test frames)."""
    from scipy.io import loadmat

    content = loadmat(path)
    for key in ('trainNdxs', 'testNdxs'):
        if key not in content:
            raise SystemExit(f'{path} must hold {key}; it has {sorted(content)}.')
    return {
        'train': content['trainNdxs'].ravel().astype(int).tolist(),
        'val': content['testNdxs'].ravel().astype(int).tolist(),
    }


def save(array: np.ndarray, path: Path) -> None:
    """Write a PNG whole or not at all."""
    partial = path.with_suffix('.partial')
    Image.fromarray(array).save(partial, format='PNG')
    os.replace(partial, path)


def write_frame(file: Any, number: int, mapping: np.ndarray, out: Path) -> str:
    """One frame; MATLAB stores the axes the other way round."""
    names = tuple(f'{folder}/{number:06d}.png' for folder in ('rgb', 'masks', 'depth'))
    if not all((out / name).exists() for name in names):
        i = number - 1
        save(np.ascontiguousarray(file['images'][i].transpose(2, 1, 0)), out / names[0])
        save(np.ascontiguousarray(mapping[file['labels'][i].T]), out / names[1])
        depth_m = np.nan_to_num(file['depths'][i].T)
        save(np.round(depth_m * DEPTH_SCALE).clip(0, 65535).astype(np.uint16), out / names[2])
    return '\t'.join(names)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('labeled', type=Path, help='nyu_depth_v2_labeled.mat')
    parser.add_argument('splits', type=Path, help='splits.mat')
    parser.add_argument('--class-mapping', type=Path, help='classMapping40.mat')
    parser.add_argument('--out', type=Path, default=Path('data/nyu_depth_v2'))
    args = parser.parse_args()
    for package in ('h5py', 'scipy'):
        require_host(package, 'tools/prepare/nyu_depth_v2.py')
    import h5py

    for path in filter(None, (args.labeled, args.splits, args.class_mapping)):
        if not path.is_file():
            raise SystemExit(f'{path} does not exist.')
    split = read_split(args.splits)
    given = [p.resolve() for p in (args.labeled, args.splits, args.class_mapping) if p]
    recipe = f'nyu_depth_v2.py: {[(str(p), p.stat().st_size) for p in given]}, v2'
    if is_made(args.out, recipe):
        print(f'{args.out} is there already')
        return
    with h5py.File(args.labeled, 'r') as file, made_whole(args.out, recipe) as out:
        for folder in ('rgb', 'masks', 'depth'):
            (out / folder).mkdir(exist_ok=True)
        for key in ('images', 'depths', 'labels'):
            if key not in file:
                raise SystemExit(f'{args.labeled} must hold {key}; it has {sorted(file)}.')
        if args.class_mapping:
            mapping = read_mapping(args.class_mapping)
        else:
            warnings.warn(
                'no --class-mapping: classes by name, all others ignored; scores will not be '
                'comparable with papers.',
                stacklevel=1,
            )
            mapping = mapping_by_name(file)
        count = len(file['images'])
        for name, numbers in split.items():
            beyond = [n for n in numbers if not 1 <= n <= count]
            if beyond:
                raise SystemExit(f'{args.splits}: frame {beyond[0]} is not among 1..{count}.')
            lines = [
                write_frame(file, n, mapping, out) for n in tqdm(numbers, desc=name, unit='frame')
            ]
            (out / f'{name}.txt').write_text('\n'.join(lines))
    print(f'wrote {args.out}: {", ".join(f"{k} {len(v)}" for k, v in split.items())}; {BORDER}.')


if __name__ == '__main__':
    run_tool(main)
