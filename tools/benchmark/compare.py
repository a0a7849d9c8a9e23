r"""Train several configs with several seeds at one budget and tabulate the result.

What has been run is in OUT/results.jsonl and is not run again; an interrupted run resumes.
The table gives mean and standard deviation over seeds of the last validation.

Example:
    python tools/benchmark/compare.py --out work_dirs/compare --seeds 0 1 2 --jobs 2 \
        --run concat=configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py \
        --run mango=configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py

Options of one run follow its config: --run NAME=CONFIG:model.neck.nll_weight=0
"""

import argparse
from pathlib import Path

from mango_mm.apis.compare import Run, compare, render_table
from mango_mm.visualization import draw_curves


def parse_run(text: str) -> Run:
    """``NAME=CONFIG[:KEY=VALUE ...]`` to its parts."""
    name, _, rest = text.partition('=')
    config, _, options = rest.partition(':')
    if not name or not Path(config).is_file():
        raise SystemExit(f'--run must be NAME=CONFIG[:KEY=VALUE ...] of a file; got {text!r}.')
    return Run(name, config, tuple(options.split()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--run', action='append', required=True, metavar='NAME=CONFIG[:K=V ...]')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and results')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--threads', type=int, default=1, help='threads of each run')
    parser.add_argument(
        '--test-best', action='store_true',
        help='report a test of the best checkpoint, not the last validation',
    )  # fmt: skip
    parser.add_argument('--cfg-options', nargs='*', default=[], help='for every run')
    args = parser.parse_args()
    runs = [parse_run(text) for text in args.run]
    lines = compare(
        runs,
        args.seeds,
        args.out,
        jobs=args.jobs,
        threads=args.threads,
        options=args.cfg_options,
        test_best=args.test_best,
    )
    table = render_table(lines, [run.name for run in runs])
    (args.out / 'table.md').write_text(table + '\n')
    first = {run.name: args.out / run.name / f'seed{args.seeds[0]}' for run in runs}
    draw_curves(first, ('loss', 'mIoU', 'nll_per_dim'), args.out / 'curves.png')
    print(table)


if __name__ == '__main__':
    main()
