"""Convert the joints of NTU RGB+D (2s-AGCN's arrays) to three sequences: joint, bone, motion.

Reads SOURCE/{train,val}_data_joint.npy, (N, 3, T, 25, 2), {train,val}_num_frame.npy and
{train,val}_label.pkl, a pair of names and classes; writes OUT/{train,val}.h5.

Example:
    python tools/prepare/skeletons.py data/NTU-RGB-D-60-AGCN/xsub --out data/ntu60_xsub
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.datasets.multibench import read_arrays
from mango_mm.datasets.skeletons import streams_of
from mango_mm.files import is_made, made_whole
from mango_mm.hosts import require_host

SPLITS = ('train', 'val')


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    require_host('h5py', 'skeletons.py')
    import h5py

    recipe = f'{args.source.name} v1'
    if is_made(args.out, recipe):
        print(f'{args.out} is there already')
        return
    with made_whole(args.out, recipe) as folder:
        for split in SPLITS:
            path = args.source / f'{split}_data_joint.npy'
            if not path.is_file():
                raise SystemExit(f'{path} does not exist.')
            joints = np.load(path, mmap_mode='r', allow_pickle=False)
            frames = np.load(args.source / f'{split}_num_frame.npy', allow_pickle=False)
            names, classes = read_arrays(args.source / f'{split}_label.pkl')
            if not len(joints) == len(frames) == len(names) == len(classes):
                raise SystemExit(
                    f'{args.source}: {split} has {len(joints)} recordings, {len(frames)} numbers '
                    f'of frames, {len(names)} names and {len(classes)} classes.'
                )
            width = joints.shape[1] * joints.shape[3] * joints.shape[4]
            shape = (len(joints), joints.shape[2], width)
            with h5py.File(folder / f'{split}.h5', 'w') as file:
                for m in ('joint', 'bone', 'motion'):
                    file.create_dataset(m, shape, np.float32, chunks=(1, *shape[1:]))
                    file[f'{m}_length'] = np.asarray(frames, dtype=np.int64)
                file['label'], file['id'] = np.asarray(classes, dtype=np.int64), list(names)
                for i in tqdm(range(len(joints)), desc=split, unit='recording'):
                    for m, tokens in streams_of(joints[i], int(frames[i])).items():
                        file[m][i] = tokens
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
