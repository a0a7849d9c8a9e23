r"""Which algorithm suits the data: UMT or UME (Du et al., ICML 2023).

A fusion of frozen uni-modal encoders (the probe) is compared with the average of the uni-modal
models (UME). Where the probe is better, the modalities have to be seen together: train UMT. Where
it is worse, training them apart is enough: take UME. Reads what compare.py wrote, for instance
of its suites mini, nyuv2 or movies.

Example:
    python tools/benchmark/compare.py mini --only "RGB only" "depth only" UME "UMT's probe"
    python tools/analyse/umt_or_ume.py work_dirs/suite_mini/results.jsonl
    python tools/analyse/umt_or_ume.py work_dirs/suite_movies/results.jsonl \
        --metric macro_f1 --ensemble "late fusion (UME)"
"""

import json
import statistics
from pathlib import Path

from mango_mm.apis.command import Parser, run_tool


def decide(probe: dict[int, float], ensemble: dict[int, float]) -> tuple[str, float, float]:
    """``'UMT'``, ``'UME'`` or ``'undecided'``, mean difference and its spread over seeds.

    It is undecided while the mean lies within one standard deviation of zero, or of one seed.
    """
    seeds = sorted(probe.keys() & ensemble.keys())
    if not seeds:
        raise SystemExit(f'no seed has both: {sorted(probe)} and {sorted(ensemble)}.')
    differences = [probe[seed] - ensemble[seed] for seed in seeds]
    mean = statistics.mean(differences)
    spread = statistics.stdev(differences) if len(differences) > 1 else float('inf')
    if abs(mean) <= spread:
        return 'undecided', mean, spread
    return ('UMT' if mean > 0 else 'UME'), mean, spread


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('results', type=Path, help='results.jsonl of compare.py')
    parser.add_argument('--probe', default="UMT's probe", help='name of the probe')
    parser.add_argument('--ensemble', default='UME', help='name of the ensemble')
    parser.add_argument('--metric', default='mIoU', help='larger is better')
    args = parser.parse_args()
    if not args.results.is_file():
        raise SystemExit(f'{args.results} does not exist; compare.py writes it.')
    lines = [json.loads(line) for line in args.results.read_text().splitlines()]
    scores = {}
    for name in (args.probe, args.ensemble):
        found = {x['seed']: x[args.metric] for x in lines if x['name'] == name and args.metric in x}
        if not found:
            known = sorted({x['name'] for x in lines})
            raise SystemExit(f'{args.results} has no {args.metric} of {name!r}; it has {known}.')
        scores[name] = found
        values = ', '.join(f'{v:.2f}' for v in found.values())
        print(f'{name}: {args.metric} {values}')
    answer, mean, spread = decide(scores[args.probe], scores[args.ensemble])
    print(f'difference {mean:+.2f}, spread over seeds {spread:.2f}: {answer}')


if __name__ == '__main__':
    run_tool(main)
