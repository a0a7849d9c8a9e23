"""Make SUN RGB-D in the layout of DFormer from the official archives, unpacked.

Needs the folders ``SUNRGBD`` (from SUNRGBD.zip) and ``SUNRGBDtoolbox`` side by side:

    SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat      frames, in the order of the labels
    SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat     labels 0..37, read one at a time
    SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat which frames train
    SUNRGBD/<sensor>/.../<frame>/{image,depth}/*

Writes OUT/{RGB,labels,Depth}/{train,test}_N.{jpg,png} and OUT/{train,test}.txt. Images and
depth are copied as they are: depth stays in millimetres shifted by three bits, which
``LoadDepth(encoding='sun')`` undoes.

Example:
    python tools/prepare/sun_rgbd.py path/to/unpacked --out data/sun_rgbd
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.files import inside, is_made, made_whole
from mango_mm.hosts import require_host

SERVER = '/n/fs/sun3d/data/'  # how the authors' paths begin


def one_file(folder: Path) -> Path:
    """The only file of a frame's folder."""
    files = [f for f in sorted(folder.glob('*')) if f.suffix.lower() in ('.jpg', '.png')]
    if len(files) != 1:
        raise SystemExit(f'{folder} must hold one image; got {len(files)}.')
    return files[0]


def frame_names(meta: Path) -> list[str]:
    """Folders of all frames, relative, in the order of the labels."""
    from scipy.io import loadmat

    entries = loadmat(meta, squeeze_me=True)['SUNRGBDMeta']
    return [str(entry['sequenceName']).removeprefix(SERVER).strip('/') for entry in entries]


def training_frames(split: Path) -> set[str]:
    """Folders of the training frames."""
    from scipy.io import loadmat

    entries = loadmat(split, squeeze_me=True)['alltrain']
    return {str(entry).removeprefix(SERVER).strip('/') for entry in np.atleast_1d(entries)}


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path, help='holds SUNRGBD and SUNRGBDtoolbox')
    parser.add_argument('--out', type=Path, default=Path('data/sun_rgbd'))
    args = parser.parse_args()
    for package in ('h5py', 'scipy'):
        require_host(package, 'tools/prepare/sun_rgbd.py')
    import h5py

    toolbox = args.source / 'SUNRGBDtoolbox'
    meta = toolbox / 'Metadata' / 'SUNRGBDMeta.mat'
    labels = toolbox / 'Metadata' / 'SUNRGBD2Dseg.mat'
    split = toolbox / 'traintestSUNRGBD' / 'allsplit.mat'
    for path in (meta, labels, split):
        if not path.is_file():
            raise SystemExit(f'{path} does not exist.')
    frames, train = frame_names(meta), training_frames(split)
    lists: dict[str, list[str]] = {'train': [], 'test': []}
    recipe = f'sun_rgbd.py: {args.source.resolve()}, {labels.stat().st_size} bytes of labels, v2'
    if is_made(args.out, recipe):
        print(f'{args.out} is there already')
        return
    with h5py.File(labels, 'r') as file, made_whole(args.out, recipe) as out:
        for folder in ('RGB', 'labels', 'Depth'):
            (out / folder).mkdir(exist_ok=True)
        references = file['SUNRGBD2Dseg']['seglabel']
        if len(references) != len(frames):
            raise SystemExit(f'{labels} has {len(references)} labels for {len(frames)} frames.')
        for name, reference in zip(tqdm(frames, unit='frame'), references):
            part = 'train' if name in train else 'test'
            stem = f'{part}_{len(lists[part])}'
            frame = Path(inside(args.source, name, str(meta)))
            shutil.copyfile(one_file(frame / 'image'), out / 'RGB' / f'{stem}.jpg')
            shutil.copyfile(one_file(frame / 'depth'), out / 'Depth' / f'{stem}.png')
            label = np.asarray(file[reference[0]]).T.astype(np.uint8)
            Image.fromarray(label).save(out / 'labels' / f'{stem}.png')
            lists[part].append(stem)
        for part, stems in lists.items():
            (out / f'{part}.txt').write_text('\n'.join(stems))
    print(f'wrote {args.out}: {", ".join(f"{k} {len(v)}" for k, v in lists.items())}')


if __name__ == '__main__':
    run_tool(main)
