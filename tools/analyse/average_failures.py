r"""Average checks of failing sensors of several seeds, with intervals of the differences.

Every folder is the --out of one run of tools/analyse/robustness.py --protocol. Rules are compared
within each run; the interval is over runs (Student's t, 95 %). Writes table.md, failures.jsonl (all
lines, with the number of their run), failures.json (their means) and failures.png.

Example:
    for s in 0 1 2; do
        python tools/train.py CONFIG --work-dir work_dirs/s$s --cfg-options randomness.seed=$s
        python tools/analyse/robustness.py CONFIG work_dirs/s$s --out work_dirs/s$s/failures \
            --protocol kinds
    done
    python tools/analyse/average_failures.py work_dirs/s{0,1,2}/failures --out work_dirs/failures
"""

import json
from pathlib import Path

from mango_mm.analysis.failure_seeds import mean_lines, read_failures, render_differences
from mango_mm.analysis.failure_tables import DRAWN, render_failures
from mango_mm.analysis.robustness import headline
from mango_mm.apis.command import Parser, run_tool
from mango_mm.visualization.trust import draw_failures


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('runs', nargs='+', help='what robustness.py --protocol wrote, by seed')
    parser.add_argument('--out', type=Path, required=True, help='folder for tables and plot')
    parser.add_argument('--rule', default='trust', help='the others are compared with it')
    parser.add_argument(
        '--failures', nargs='+', metavar='NAME', help='those that count; default: all'
    )
    args = parser.parse_args()
    try:
        runs = [read_failures(path) for path in args.runs]
        names = list(dict.fromkeys(line['name'] for line in runs[0]))
        kept = ['clean', *(args.failures or names)]
        unknown = [name for name in kept if name not in names]
        if unknown:
            raise ValueError(f'failures of {args.runs[0]} are {names}; got {unknown}.')
        model = runs[0][0]['model']
        runs = [[x for x in r if x['name'] in kept and x['model'] == model] for r in runs]
        means = mean_lines(runs)
        table = render_differences(runs, args.rule)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    told = next((line['trust'] for line in means if 'trust' in line), {})
    table += '\nMeans of all runs:\n\n' + render_failures(means, len(told))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'table.md').write_text(table)
    (args.out / 'failures.json').write_text(json.dumps(means, indent=1) + '\n')
    lines = [json.dumps({'run': n, **line}) for n, run in enumerate(runs) for line in run]
    (args.out / 'failures.jsonl').write_text('\n'.join(lines) + '\n')
    rules = [r for r in DRAWN if any(line['rule'] == r for line in means)] or [args.rule]
    draw_failures(means, rules, args.out / 'failures.png', metric=headline(means[0]['metrics']))
    print(table)
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
