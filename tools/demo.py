"""The demo: train RGB-only, depth-only, concat and MANGO on generated rooms.

Writes the rooms, trains each model through mmengine's Runner with one small budget on a
CPU, prints one table, and saves panels and curves.

Example:
    python tools/demo.py --seeds 0 1 2
"""

import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.comparison.budget import budget
from mango_mm.comparison.compare import Run, compare, render_table
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.inferencers import MangoInferencer
from mango_mm.visualization import colour_labels, draw_curves, draw_panel

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
BUDGET = 'small_1xb8-600it_mini-rooms-72x96'
RUNS = (
    Run('RGB only', str(CONFIGS / f'unimodal/rgb_{BUDGET}.py')),
    Run('depth only', str(CONFIGS / f'unimodal/depth_{BUDGET}.py')),
    Run('concat', str(CONFIGS / f'concat/concat_{BUDGET}.py')),
    Run('MANGO', str(CONFIGS / f'mango/mango-l2_{BUDGET}.py')),
    Run('MANGO cross-modal', str(CONFIGS / f'mango/mango-cross-modal-l1_{BUDGET}.py')),
)
PANELS = 4


def draw(data: Path, out: Path, seed: int) -> Path:
    """One row per validation room: modalities, truth, and what each model says."""
    infer = {r.name: MangoInferencer(r.config, out / r.name / f'seed{seed}') for r in RUNS}
    rows = []
    for line in (data / 'val.txt').read_text().split('\n')[:PANELS]:
        rgb, mask, depth = (data / part for part in line.split('\t'))
        results = {name: model({'rgb': rgb, 'depth': depth}) for name, model in infer.items()}
        palette = infer['MANGO'].meta['palette']
        truth = colour_labels(np.asarray(Image.open(mask)), palette)
        pictures = {**results['MANGO']['pictures'], 'ground truth': truth}
        pictures |= {n: colour_labels(r['label'], palette) for n, r in results.items()}
        pictures.pop('prediction')
        rows.append(draw_panel(pictures))
    path = out / 'panels.png'
    Image.fromarray(np.concatenate(rows)).save(path)
    return path


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--seeds', type=non_negative_int, nargs='+', default=[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--data', type=Path, default=Path('data/mini_rooms'))
    parser.add_argument('--iters', type=positive_int, default=600, help='iterations of each run')
    args = parser.parse_args()
    start = time.monotonic()
    write_rooms(args.data, train=240, val=60, size=(72, 96))
    os.environ['MANGO_MINI_ROOMS'] = str(args.data)
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
    seed = args.seeds[0]
    panels = draw(args.data, args.out, seed)
    curves = args.out / 'curves.png'
    draw_curves(
        {run.name: args.out / run.name / f'seed{seed}' for run in RUNS},
        ('loss', 'mIoU', 'nll_per_dim'),
        curves,
    )
    table = render_table(lines, [run.name for run in RUNS])
    (args.out / 'table.md').write_text(table + '\n')
    print(f'\n{table}\n')
    print(f'panels: {panels}\ncurves: {curves}\ntable:  {args.out / "table.md"}')
    print(f'done in {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    run_tool(main)
