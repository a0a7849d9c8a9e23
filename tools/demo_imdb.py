"""The movie demo: genres from poster and plot, on generated movies, without any toolbox.

Writes the movies, trains poster alone, plot alone, concatenation and MANGO with one small budget
on a CPU, prints one table (test split, checkpoint and thresholds chosen on dev), and draws what
MANGO makes of a few movies.

Example:
    python tools/demo_imdb.py --seeds 0 1 2
"""

import json
import os
import time
from pathlib import Path

from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.comparison.budget import budget
from mango_mm.comparison.compare import Run, compare, render_table
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.inferencers import MangoInferencer

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
BUDGET = 'small_1xb32-600it_mini-movies-96x64'
RUNS = (
    Run('poster alone', str(CONFIGS / f'unimodal/image_{BUDGET}.py')),
    Run('plot alone', str(CONFIGS / f'unimodal/text_{BUDGET}.py')),
    Run('concat', str(CONFIGS / f'concat/concat_{BUDGET}.py')),
    Run('MANGO', str(CONFIGS / f'mango/mango-l2_{BUDGET}.py')),
)
PICTURES = 3


def draw(data: Path, out: Path, seed: int) -> Path:
    """What MANGO makes of the first movies of the test split."""
    folder = out / 'MANGO' / f'seed{seed}'
    infer = MangoInferencer(RUNS[-1].config, next(folder.glob('best_*.pth')))
    for movie_id in json.loads((data / 'split.json').read_text())['test'][:PICTURES]:
        path = data / 'dataset' / movie_id
        plot = json.loads(path.with_suffix('.json').read_text())['plot'][0]
        infer({'image': path.with_suffix('.jpeg'), 'text': plot}, show_dir=out / 'movies')
    return out / 'movies'


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--seeds', type=non_negative_int, nargs='+', default=[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo_imdb'))
    parser.add_argument('--data', type=Path, default=Path('data/mini_movies'))
    parser.add_argument('--iters', type=positive_int, default=300, help='iterations of each run')
    args = parser.parse_args()
    start = time.monotonic()
    write_movies(args.data)
    os.environ['MANGO_MINI_MOVIES'] = str(args.data)
    print(f'training {len(RUNS)} models x {len(args.seeds)} seed(s), two at a time')
    lines = compare(
        RUNS,
        args.seeds,
        args.out,
        jobs=2,
        test_best=True,
        options=(
            *(f'{key}={value}' for key, value in budget(args.iters).items()),
            'train_dataloader.num_workers=1',
            'val_dataloader.num_workers=1',
            'test_dataloader.num_workers=1',
        ),
    )
    pictures = draw(args.data, args.out, args.seeds[0])
    table = render_table(lines, [run.name for run in RUNS])
    (args.out / 'table.md').write_text(table + '\n')
    print(f'\n{table}\n\npictures: {pictures}\ntable:    {args.out / "table.md"}')
    print(f'done in {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    run_tool(main)
