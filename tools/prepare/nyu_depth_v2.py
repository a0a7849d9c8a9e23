r"""Make NYU Depth V2 as a tab-list data set from the official files.

Needs ``nyu_depth_v2_labeled.mat`` (2.8 GB, from the data's page) and ``splits.mat`` (its
toolbox). The 894 labels become 40 classes by ``classMapping40.mat`` (Gupta et al.; in
their code and in several mirrors), a file that cannot be shipped here. Without it, the 37
classes that are named are found by name and everything else is ignored: then scores are
not comparable with papers, and the tool says so.

Writes OUT/{rgb,masks,depth}/NNNNNN.png (NNNNNN = the official index, from 1; depth in
metres * 5000; masks 0..39, 255 = ignore) and OUT/{train,val}.txt. Frames that are there
already are not written again.

``--mini`` makes nyuv2-mini instead, the layout on which our tables were measured: the 795 official
training frames alone, mirrored left-right, with a short side of 256 pixels (341 x 256); rgb as
JPEG; depth in the 255 steps of 10 m that eight bits have, so that 0 never occurs; class 39
(otherprop) ignored; 100 frames to validate, ten runs of ten neighbours, and 695 to train.
Frames, split, sizes, mirroring, steps of depth, ignored class and JPEG tables are those of the
data that we measured on. That data does not say how it was resized: here RGB goes through Pillow's
antialiased bilinear filter, depth and masks take the nearest pixel.

Example:
    python tools/prepare/nyu_depth_v2.py nyu_depth_v2_labeled.mat splits.mat \
        --class-mapping classMapping40.mat --out data/nyu_depth_v2
    python tools/prepare/nyu_depth_v2.py nyu_depth_v2_labeled.mat splits.mat \
        --class-mapping classMapping40.mat --mini --out data/nyuv2
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
SHORT_SIDE, JPEG_QUALITY = 256, 90
STEPS, FARTHEST_M = 255, 10.0  # of depth in eight bits
OTHERPROP = 39
# Places in the sorted list of the 795 training frames at which ten neighbours begin that validate.
HELD_OUT = (60, 70, 90, 120, 190, 410, 460, 500, 640, 680)
NEIGHBOURS = 10
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


def mini_split(train: list[int]) -> dict[str, list[int]]:
    """The training frames alone: ten runs of ten neighbours validate, the others train."""
    frames = sorted(train)
    held_out = {n for start in HELD_OUT for n in frames[start : start + NEIGHBOURS]}
    return {
        'train': [n for n in frames if n not in held_out],
        'val': [n for n in frames if n in held_out],
    }


def save(image: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all; as JPEG if it is called so."""
    partial = path.with_suffix('.partial')
    if path.suffix == '.jpg':
        image.save(partial, format='JPEG', quality=JPEG_QUALITY)
    else:
        image.save(partial, format='PNG')
    os.replace(partial, path)


def eight_bits(depth_m: np.ndarray) -> np.ndarray:
    """Metres as the nearest of the 255 steps; what is nearer than the first is the first."""
    steps = np.round(depth_m / FARTHEST_M * STEPS).clip(1, STEPS)
    return steps / STEPS * FARTHEST_M


def resized(array: np.ndarray, resample: Image.Resampling) -> Image.Image:
    """Mirrored left-right, with a short side of 256 pixels."""
    image = Image.fromarray(np.ascontiguousarray(array[:, ::-1]))
    scale = SHORT_SIDE / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), resample)


def write_frame(file: Any, number: int, mapping: np.ndarray, out: Path, *, mini: bool) -> str:
    """One frame; MATLAB stores the axes the other way round."""
    suffixes = {'rgb': 'jpg' if mini else 'png', 'masks': 'png', 'depth': 'png'}
    names = [f'{folder}/{number:06d}.{suffix}' for folder, suffix in suffixes.items()]
    if not all((out / name).exists() for name in names):
        i = number - 1
        rgb = np.ascontiguousarray(file['images'][i].transpose(2, 1, 0))
        mask = np.ascontiguousarray(mapping[file['labels'][i].T])
        depth_m = np.nan_to_num(file['depths'][i].T)
        if mini:
            mask = np.where(mask == OTHERPROP, np.uint8(IGNORE), mask)
            depth_m = eight_bits(depth_m)
        depth = np.round(depth_m * DEPTH_SCALE).clip(0, 65535).astype(np.uint16)
        filters = (Image.Resampling.BILINEAR, Image.Resampling.NEAREST, Image.Resampling.NEAREST)
        for array, name, resample in zip((rgb, mask, depth), names, filters):
            save(resized(array, resample) if mini else Image.fromarray(array), out / name)
    return '\t'.join(names)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('labeled', type=Path, help='nyu_depth_v2_labeled.mat')
    parser.add_argument('splits', type=Path, help='splits.mat')
    parser.add_argument('--class-mapping', type=Path, help='classMapping40.mat')
    parser.add_argument('--mini', action='store_true', help='nyuv2-mini, as our tables have it')
    parser.add_argument(
        '--out', type=Path, help='default data/nyu_depth_v2, with --mini data/nyuv2'
    )
    args = parser.parse_args()
    args.out = args.out or Path('data/nyuv2' if args.mini else 'data/nyu_depth_v2')
    for package in ('h5py', 'scipy'):
        require_host(package, 'tools/prepare/nyu_depth_v2.py')
    import h5py

    for path in filter(None, (args.labeled, args.splits, args.class_mapping)):
        if not path.is_file():
            raise SystemExit(f'{path} does not exist.')
    split = read_split(args.splits)
    if args.mini:
        split = mini_split(split['train'])
    given = [p.resolve() for p in (args.labeled, args.splits, args.class_mapping) if p]
    recipe = f'nyu_depth_v2.py: {[(str(p), p.stat().st_size) for p in given]}, v2'
    if args.mini:
        recipe += ', mini'
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
                write_frame(file, n, mapping, out, mini=args.mini)
                for n in tqdm(numbers, desc=name, unit='frame')
            ]
            (out / f'{name}.txt').write_text('\n'.join(lines))
    print(f'wrote {args.out}: {", ".join(f"{k} {len(v)}" for k, v in split.items())}; {BORDER}.')


if __name__ == '__main__':
    run_tool(main)
