r"""Train several configs with several seeds at one budget and tabulate the result.

A suite is a file that lists configs, seeds and a budget: mini (a table in minutes on a CPU), nyuv2,
ablations, movies, or a path to one of your own. What has been run is in OUT/results.jsonl and is
not run again; an interrupted run resumes. Writes OUT/table.md, comparison.png, curves.png and
costs.json: parameters, operations, latency and memory of the same models. A suite with a baseline
has paired differences to it besides, with bootstrap intervals over seeds and samples.

Example:
    python tools/benchmark/compare.py mini --jobs 2
    python tools/benchmark/compare.py --out work_dirs/compare --seeds 0 1 2 --jobs 2 \
        --run concat=configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py \
        --run mango=configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py

Options of one run follow its config: --run NAME=CONFIG:model.neck.nll_weight=0
"""

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mango_mm.apis.command import Parser, check_options, non_negative_int, positive_int, run_tool
from mango_mm.apis.dict_action import parse_value
from mango_mm.apis.run import load_config
from mango_mm.comparison.columns import METRICS
from mango_mm.comparison.compare import SEED, Run, compare, options_of, render_table
from mango_mm.comparison.cost import measure_costs
from mango_mm.comparison.paired import (
    Difference,
    PerSample,
    paired_difference,
    read_per_sample,
)
from mango_mm.comparison.suite import Suite, load_suite
from mango_mm.visualization import draw_comparison, draw_curves, draw_differences

SUITES = Path(__file__).parent / 'suites'


def parse_run(text: str) -> Run:
    """``NAME=CONFIG[:KEY=VALUE ...]`` to its parts."""
    name, _, rest = text.partition('=')
    config, _, options = rest.partition(':')
    if not name or not Path(config).is_file():
        raise SystemExit(f'--run must be NAME=CONFIG[:KEY=VALUE ...] of a file; got {text!r}.')
    return Run(name, config, tuple(options.split()))


def suite_of(args: argparse.Namespace) -> Suite:
    """The suite that the arguments name or spell out."""
    if bool(args.suite) == bool(args.run):
        raise SystemExit('give either a suite or --run; see --help.')
    if not args.suite:
        runs = tuple(parse_run(text) for text in args.run)
        return Suite('Comparison', runs, (0, 1, 2))
    named = SUITES / f'{args.suite}.yml'
    try:
        return load_suite(named if named.is_file() else args.suite)
    except (FileNotFoundError, ValueError) as error:
        known = sorted(p.stem for p in SUITES.glob('*.yml'))
        raise SystemExit(f'{error} Suites that come along: {known}.') from error


def make_data(suite: Suite, seeds: list[int]) -> None:
    """Run the commands that make what the suite needs, where it is not there."""
    for path, command in suite.needed(seeds):
        if not path.exists():
            print(f'{path} does not exist: {shlex.join(command)}', flush=True)
            words = [sys.executable if w == 'python' else w for w in command]
            if subprocess.run(words).returncode or not path.exists():
                raise SystemExit(
                    f'{path} is needed, and this did not make it: {shlex.join(command)}'
                )


def own_options(run: Run, options: Sequence[str] = ()) -> dict[str, object]:
    """What a row, or its suite, changes in its model.

    Not what has a seed or another run's folder in it, as paths of weights: those cost nothing.

    Args:
        run: The row.
        options: Of every row; those of the model count.
    """
    filled = [SEED, *(f'{{{name}}}' for name in run.after)]
    given = [*(o for o in options if o.startswith('model.')), *run.options]
    pairs = (o.split('=', 1) for o in given if not any(part in o for part in filled))
    return {key: parse_value(value) for key, value in pairs}


def costs_of(suite: Suite, out: Path, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Costs of all rows, measured once; of other configs or options, again."""
    path = out / 'costs.json'
    costs = json.loads(path.read_text()) if path.is_file() else {}
    rows = {run.name: (run.config, own_options(run, options)) for run in suite.runs if run.reports}
    of = {name: json.dumps([Path(c).name, own], default=str) for name, (c, own) in rows.items()}
    if any(costs.get(name, {}).get('of') != of[name] for name in rows):
        print('measuring parameters, operations, latency and memory', flush=True)
        costs = {name: {**row, 'of': of[name]} for name, row in measure_costs(rows).items()}
        path.write_text(json.dumps(costs, indent=1) + '\n')
    return costs


def differences_of(
    suite: Suite, out: Path, rows: list[str], seeds: list[int]
) -> dict[str, Difference]:
    """Paired differences of every row to the suite's baseline; written to differences.json."""
    found: dict[str, dict[int, PerSample]] = {}
    for name in rows:
        known = {s: read_per_sample(out / name / f'seed{s}') for s in seeds}
        found[name] = {s: x for s, x in known.items() if x is not None}
    for name in found if suite.baseline else ():
        lacking = sorted(set(seeds) - set(found[name]))
        if lacking:
            print(f'{name}: seeds {lacking} left nothing per sample, and count in no difference')
    of = found.get(suite.baseline)
    if not of:
        return {}
    differences = {
        name: paired_difference(known, of)
        for name, known in found.items()
        if name != suite.baseline and set(known) & set(of)
    }
    plain = {name: dataclasses.asdict(d) for name, d in differences.items()}
    (out / 'differences.json').write_text(json.dumps(plain, indent=1) + '\n')
    if differences:
        draw_differences(
            {name: (d.mean, d.low, d.high) for name, d in differences.items()},
            out / 'differences.png',
            xlabel=f'{METRICS[suite.headline][0]} minus that of {suite.baseline}, 95 % interval',
            title=suite.title,
        )
    return differences


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('suite', nargs='?', help='a suite: its name or a path')
    parser.add_argument('--run', action='append', metavar='NAME=CONFIG[:K=V ...]')
    parser.add_argument('--out', type=Path, help='for runs and results; work_dirs/SUITE')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='these rows of the suite')
    parser.add_argument('--seeds', type=non_negative_int, nargs='+', help="instead of the suite's")
    parser.add_argument(
        '--jobs', type=positive_int, help='runs at a time; default: one, or one per GPU'
    )
    parser.add_argument('--threads', type=positive_int, default=1, help='threads of each run')
    parser.add_argument(
        '--test-best', action='store_true',
        help='report a test of the best checkpoint, not the last validation',
    )  # fmt: skip
    parser.add_argument('--no-costs', action='store_true', help='leave out the columns of costs')
    parser.add_argument('--cfg-options', nargs='*', default=[], help='for every run')
    args = parser.parse_args()
    suite = suite_of(args)
    name = Path(args.suite).stem if args.suite else 'compare'
    out = args.out or Path('work_dirs') / f'suite_{name}'
    runs = [run for run in suite.runs if not args.only or run.name in args.only]
    if not runs:
        raise SystemExit(f'--only must name some of {[run.name for run in suite.runs]}.')
    seeds = args.seeds or list(suite.seeds)
    make_data(suite, seeds)
    options = [*suite.options, *args.cfg_options]
    if not args.allow_new_keys:
        for run in runs:
            check_options(load_config(run.config), options_of(run, options))
    try:
        lines = compare(
            runs,
            seeds,
            out,
            jobs=args.jobs,
            threads=args.threads,
            options=options,
            test_best=args.test_best or suite.test_best,
        )
    except (RuntimeError, ValueError) as error:
        raise SystemExit(f'{error}\nWhat has been run is kept; run this again to go on.') from error
    rows = [run.name for run in runs if run.reports]
    costs = None if args.no_costs else costs_of(suite, out, options)
    differences = differences_of(suite, out, rows, seeds)
    table = render_table(lines, rows, costs, differences, suite.baseline)
    (out / 'table.md').write_text(f'# {suite.title}\n\n{table}\n')
    of = {n: [x for x in lines if x['name'] == n] for n in rows}
    known = [k for k in (suite.headline, *METRICS) if any(k in x for x in lines)]
    headline = known[0] if known else suite.headline
    drawn = {n: [x[headline] for x in found if headline in x] for n, found in of.items()}
    drawn = {n: values for n, values in drawn.items() if values}
    if drawn:
        draw_comparison(
            drawn, out / 'comparison.png', xlabel=METRICS[headline][0], title=suite.title
        )
    first = {n: out / n / f'seed{seeds[0]}' for n in rows}
    there = {n: folder for n, folder in first.items() if any(folder.glob('*/vis_data'))}
    if there:
        draw_curves(there, ('loss', headline, 'nll_per_dim'), out / 'curves.png')
    print(table)
    print(f'written to {out}: table.md, comparison.png, curves.png, results.jsonl')


if __name__ == '__main__':
    run_tool(main)
