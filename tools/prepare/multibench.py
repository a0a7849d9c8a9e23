"""Convert a pickle of CMU-MOSI or CMU-MOSEI to the layout of TokenSequenceDataset.

Reads the files of MulT (mosi_data.pkl, mosei_senti_data.pkl, ..._noalign.pkl), MultiBench
(mosi_raw.pkl) and MMSA (aligned_50.pkl, unaligned_50.pkl), without running what a pickle may hold.
Writes OUT/{train,val,test}.h5.

Example:
    python tools/prepare/multibench.py mosi_data.pkl --out data/mosi
"""

from pathlib import Path

from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.datasets.multibench import MODALITIES, SPLITS, read_pickle, tables_of
from mango_mm.files import is_made, made_whole
from mango_mm.hosts import require_host


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('pickle', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    require_host('h5py', 'multibench.py')
    import h5py

    recipe = f'{args.pickle.name} v1'
    if is_made(args.out, recipe):
        print(f'{args.out} is there already')
        return
    found = read_pickle(args.pickle)
    lines = []
    with made_whole(args.out, recipe) as folder:
        for theirs, ours in tqdm(SPLITS.items(), desc='splits'):
            tables, odd = tables_of(found[theirs], f'{args.pickle}, {theirs}')
            with h5py.File(folder / f'{ours}.h5', 'w') as file:
                for name, values in tables.items():
                    chunks = (1, *values.shape[1:]) if name in MODALITIES else None
                    file.create_dataset(name, data=values, chunks=chunks)
            shapes = ', '.join(f'{m} {tables[m].shape[1:]}' for m in MODALITIES)
            noted = ', '.join(f'{n} {what}' for what, n in odd.items() if n)
            lines.append(
                f'{ours}: {len(tables["label"])} samples, {shapes}; {noted or "nothing odd"}'
            )
    print('\n'.join(lines))


if __name__ == '__main__':
    run_tool(main)
