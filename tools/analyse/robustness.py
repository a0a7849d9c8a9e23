r"""Sensor failure: what a trained model loses, and whether its likelihood notices.

For every degradation and severity: the task's metric, and how well each score tells the degraded
samples from the clean ones (AUROC, and false positives where 95 % are found). Give a model without
a flow as baseline: its max-softmax, entropy and Mahalanobis distance are the implicit detectors.
With --density, the flow fitted for detection joins in.

With --protocol a segmentor is evaluated by the published protocols of failing sensors, emm
(entire-missing), rmm (random-missing) and nm (noisy), by part (a quarter of the frame) and by these
kinds; a translator likewise, its kinds being frozen sources; a classifier of movies by kinds, on
its test split, and by absent (it is told that there is no poster or plot). A model that knows whom
to trust is beside the rivals that share its experts. Then failures.json, table.md, failures.png and
calibration.png (reliability, risk over coverage) are written.
Writes robustness.json, table.md, metric.png and auroc.png.

Example:
    python tools/analyse/robustness.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py \
        work_dirs/mango-l2_small_1xb8-600it_mini-rooms-72x96 --out work_dirs/robustness \
        --baseline configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py \
        work_dirs/concat_small_1xb8-600it_mini-rooms-72x96 --severities 1 3 5
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from mango_mm.analysis.conditions import ABSENT, KINDS
from mango_mm.analysis.failure_check import FailureCheck
from mango_mm.analysis.failure_tables import DRAWN, render_failures
from mango_mm.analysis.movie_failures import MovieFailures
from mango_mm.analysis.robustness import RobustnessCheck, headline
from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.analysis.translation_failures import TranslationFailures
from mango_mm.apis import load_config
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction
from mango_mm.evaluation.functional.failures import PROTOCOLS
from mango_mm.visualization.robustness import draw_severities
from mango_mm.visualization.trust import draw_calibration, draw_failures

Lines = list[dict[str, Any]]
DEFAULT = [1, 2, 3, 4, 5]
CHECKS: dict[str, type[FailureCheck]] = {
    'MultimodalClassifier': MovieFailures, 'MultimodalTranslator': TranslationFailures,
}  # fmt: skip


def render(models: dict[str, tuple[RobustnessCheck, Lines]], severity: int) -> str:
    """The table of one severity: metric of each model, AUROC of each of its scores."""
    header, detectors = [f'severity {severity}'], []
    for name, (check, _) in models.items():
        key = headline(check.clean.metrics)
        header.append(f'{name}: {key} (clean {check.clean.metrics[key]:.2f})')
    for name, (check, _) in models.items():
        detectors += [(name, score) for score in check.clean.scores]
    header += [f'{name}: {score}' for name, score in detectors]
    rows = [header, ['---'] * len(header)]
    columns: dict[tuple[str, str], list[float]] = {d: [] for d in detectors}
    by_kind: dict[str, dict[str, dict[str, Any]]] = {}
    for name, (_, lines) in models.items():
        for line in lines:
            if line['severity'] == severity:
                by_kind.setdefault(line['kind'], {})[name] = line
    for kind, found in by_kind.items():
        cells = [kind]
        for line in found.values():
            cells.append(f'{line["metrics"][headline(line["metrics"])]:.2f}')
        for name, score in detectors:
            value = found[name]['auroc'][score]
            columns[name, score].append(value)
            cells.append(f'{value:.3f}')
        rows.append(cells)
    means = [f'{statistics.mean(values):.3f}' for values in columns.values()]
    rows.append(['mean', *[''] * len(models), *means])
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def draw(models: dict[str, tuple[RobustnessCheck, Lines]], out: Path) -> None:
    """Metric and AUROC over severity."""
    metric: dict[str, dict[str, list[tuple[int, float]]]] = {}
    area: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for name, (check, lines) in models.items():
        key = headline(check.clean.metrics)
        for line in lines:
            start = [(0, check.clean.metrics[key])]
            points = metric.setdefault(line['kind'], {}).setdefault(name, start)
            points.append((line['severity'], line['metrics'][key]))
            for score, value in line['auroc'].items():
                lines_of = area.setdefault(line['kind'], {})
                lines_of.setdefault(f'{name}: {score}', [(0, 0.5)]).append(
                    (line['severity'], value)
                )
    draw_severities(metric, out / 'metric.png', ylabel=key)
    draw_severities(area, out / 'auroc.png', ylabel='AUROC', ylim=(0, 1.02))


def run_protocols(args: Any) -> None:
    """Evaluate one model, and the baseline, by the protocols asked for."""
    pairs = [(args.names[0], args.config, args.checkpoint)]
    if args.baseline:
        pairs.append((args.names[1], *args.baseline))
    lines: Lines = []
    calibration: dict[str, Any] = {}
    count = 0
    try:
        for name, config, checkpoint in pairs:
            kind = str(load_config(config).model.type).rpartition('.')[2]
            made = CHECKS.get(kind, SensorFailures)
            rules = args.rules if name == args.names[0] else None
            check = made(config, checkpoint, args.cfg_options, args.seed, rules)
            severities = check.SEVERITIES if args.severities == DEFAULT else args.severities
            found = check.run(check.conditions(args.protocol, args.kinds, severities))
            count = max(count, len(check.modalities))
            told = name if args.baseline else ''
            for group, curves in check.curves(DRAWN).items():
                calibration[f'{told} {group}'.strip()] = curves
            lines += [{'model': name, **line} for line in found]
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'failures.json').write_text(json.dumps(lines, indent=1) + '\n')
    table = render_failures(lines, count)
    (args.out / 'table.md').write_text(table)
    first = [line for line in lines if line['model'] == args.names[0]]
    rules = [r for r in DRAWN if any(line['rule'] == r for line in first)]
    draw_failures(first, rules, args.out / 'failures.png', metric=headline(lines[0]['metrics']))
    if calibration:  # an image is not sure of anything
        draw_calibration(calibration, args.out / 'calibration.png')
    print(table)
    print(f'written to {args.out}')


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--density', help='of the model, by tools/analyse/fit_density.py')
    parser.add_argument('--baseline', nargs=2, metavar=('CONFIG', 'CHECKPOINT'))
    parser.add_argument(
        '--protocol',
        nargs='+',
        choices=(*PROTOCOLS, KINDS, ABSENT),
        help='of failing sensors; see above',
    )
    parser.add_argument(
        '--rules', nargs='+', help='of the model that --protocol scores; default: all'
    )
    parser.add_argument('--names', nargs=2, default=['MANGO', 'concat'], help='in the table')
    parser.add_argument('--out', type=Path, required=True, help='folder for tables and plots')
    parser.add_argument('--kinds', nargs='+', help='degradations; default: all that apply')
    parser.add_argument('--severities', type=positive_int, nargs='+', default=DEFAULT)
    parser.add_argument('--seed', type=non_negative_int, default=0, help='of the degradations')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    if args.protocol:
        run_protocols(args)
        return
    pairs = [(args.config, args.checkpoint), *([args.baseline] if args.baseline else [])]
    models: dict[str, tuple[RobustnessCheck, Lines]] = {}
    try:
        for name, (config, checkpoint) in zip(args.names, map(tuple, pairs)):
            density = args.density if (config, checkpoint) == pairs[0] else None
            check = RobustnessCheck(config, checkpoint, args.cfg_options, density)
            lines = check.check(args.kinds, args.severities, args.seed)
            models[name] = check, lines
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    numbers = {
        name: {'clean': check.clean.metrics, 'degraded': lines}
        for name, (check, lines) in models.items()
    }
    (args.out / 'robustness.json').write_text(json.dumps(numbers, indent=1) + '\n')
    tables = [f'## Severity {s}\n\n{render(models, s)}\n' for s in args.severities]
    (args.out / 'table.md').write_text('\n'.join(tables))
    draw(models, args.out)
    print('\n'.join(tables))
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
