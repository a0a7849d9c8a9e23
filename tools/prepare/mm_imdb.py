"""Check a download of MM-IMDB, raw or HDF5: every movie of every split.

Opens every JSON and every poster, counts genres, and lists all that is wrong; an interrupted
unpacking shows as missing files.

Example:
    python tools/prepare/mm_imdb.py data/mmimdb
    python tools/prepare/mm_imdb.py data/mmimdb --layout hdf5
"""

from collections import Counter
from pathlib import Path

from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.datasets.mm_imdb import SPLITS, MMIMDbDataset
from mango_mm.datasets.transforms.movies import LoadPoster

SHOWN = 20  # problems printed


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('root', type=Path, help='folder with split.json, or with the HDF5 file')
    parser.add_argument('--layout', choices=['raw', 'hdf5'], default='raw')
    parser.add_argument('--genres', nargs='+', help='classes; default: the 23 of MM-IMDB')
    args = parser.parse_args()
    load, problems = LoadPoster(), []
    for split in SPLITS:
        try:
            # What is not there is counted here, movie by movie, not raised.
            data = MMIMDbDataset(
                split, layout=args.layout, data_root=str(args.root), genres=args.genres,
                missing='drop',
            )  # fmt: skip
        except (ValueError, FileNotFoundError) as error:
            raise SystemExit(str(error)) from error
        genres: Counter = Counter()
        for index in tqdm(range(len(data)), desc=split, unit='movie'):
            movie = data.get_data_info(index)
            genres.update(
                g for g, there in zip(data.metainfo['classes'], movie['gt_label']) if there
            )
            try:
                load.transform(dict(movie))
            except ValueError as error:
                problems.append(str(error))
        for what in ('listed, but not there', 'without a poster'):
            if data.counts[what]:
                problems.append(f'{split}: {data.counts[what]} movies {what}')
        print(
            f'{split}: {len(data)} movies; '
            + ', '.join(f'{g} {n}' for g, n in genres.most_common())
        )
    for line in problems[:SHOWN]:
        print(line)
    if problems:
        raise SystemExit(f'{len(problems)} problems.')
    print('all there, all readable')


if __name__ == '__main__':
    run_tool(main)
