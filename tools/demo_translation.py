"""The translation demo: RGB and occlusion edges to distance, on generated rooms, through mmagic.

Writes the rooms, trains RGB alone, concatenation and MANGO with one small budget on a CPU,
prints one table, and saves pictures.

Example:
    python tools/demo_translation.py --seeds 0 1 2
"""

import os
import time
from pathlib import Path

from mango_mm.analysis.translations import draw_translations
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.comparison.budget import budget
from mango_mm.comparison.compare import Run, compare, render_table
from mango_mm.datasets.mini.write_rooms import write_rooms

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
BUDGET = 'small_1xb8-600it_mini-rooms-96x128'
RUNS = (
    Run('RGB only', str(CONFIGS / f'unimodal/rgb2depth_{BUDGET}.py')),
    Run('concat', str(CONFIGS / f'concat/concat-rgb-edge2depth_{BUDGET}.py')),
    Run('MANGO', str(CONFIGS / f'mango/mango-l1-rgb-edge2depth_{BUDGET}.py')),
)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--seeds', type=non_negative_int, nargs='+', default=[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo_translation'))
    parser.add_argument('--data', type=Path, default=Path('data/mini_taskonomy'))
    parser.add_argument('--iters', type=positive_int, default=600, help='iterations of each run')
    args = parser.parse_args()
    start = time.monotonic()
    write_rooms(args.data, train=240, val=60, size=(96, 128), taskonomy=True)
    os.environ['MANGO_MINI_TASKONOMY'] = str(args.data)
    print(f'training {len(RUNS)} models x {len(args.seeds)} seed(s), two at a time')
    lines = compare(
        RUNS,
        args.seeds,
        args.out,
        jobs=2,
        options=(
            *(f'{key}={value}' for key, value in budget(args.iters).items()),
            'train_dataloader.num_workers=1',
            'val_dataloader.num_workers=1',
        ),
    )
    trained = {run.name: (run.config, args.out / run.name / f'seed{args.seeds[0]}') for run in RUNS}
    pictures = draw_translations(trained, args.out / 'translations.png')
    table = render_table(lines, [run.name for run in RUNS])
    (args.out / 'table.md').write_text(table + '\n')
    print(f'\n{table}\n\npictures: {pictures}\ntable:    {args.out / "table.md"}')
    print(f'done in {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    run_tool(main)
