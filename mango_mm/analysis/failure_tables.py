"""Tables of what :class:`~mango_mm.analysis.sensor_failures.SensorFailures` found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mango_mm.analysis.robustness import headline
from mango_mm.evaluation.functional.failures import expectation, failures_of

__all__ = ['DRAWN', 'mean_over_failures', 'render_failures']

DRAWN = ('trust', 'mean', 'fused', 'told, one frame', 'prediction')  # rules, where not all are

RATES = (0.05, 0.1, 0.2)
Line = Mapping[str, Any]


def mean_over_failures(lines: Sequence[Line], metric: str) -> float:
    """The mean score of lines of one rule, all failures alike."""
    return statistics.mean(line['metrics'][metric] for line in lines)


def render_failures(lines: Sequence[Line], modalities: int) -> str:
    """Markdown: score by condition and rule, what a failure rate costs, alarms, calibration.

    Args:
        lines: Of one run.
        modalities: How many there are, for the expectation.
    """
    metric = headline(lines[0]['metrics'])
    columns = list(dict.fromkeys((line.get('model', ''), line['rule']) for line in lines))
    several = len({model for model, _ in columns}) > 1
    titles = [f'{m}: {r}' if several else r for m, r in columns]
    by_cell = {(line['name'], line.get('model', ''), line['rule']): line for line in lines}
    names = list(dict.fromkeys(line['name'] for line in lines))
    protocols = list(dict.fromkeys(line['protocol'] for line in lines))

    def cells(name: str) -> list[float | None]:
        found = [by_cell.get((name, *column)) for column in columns]
        return [None if line is None else line['metrics'][metric] for line in found]

    rows = [[metric, *titles], ['---'] * (len(titles) + 1)]
    rows += [[name, *map(_text, cells(name))] for name in names]
    for protocol in protocols:
        if protocol == 'clean':
            continue
        means = []
        for column in columns:
            own = [
                line for line in lines
                if line['protocol'] == protocol and (line.get('model', ''), line['rule']) == column
            ]  # fmt: skip
            means.append(mean_over_failures(own, metric) if own else None)
        rows.append([f'**mean of {protocol}**', *map(_text, means)])
    rows += _expectations(lines, columns, metric, modalities)
    parts = [_table(rows), _calibration(lines, titles, columns), _alarms(lines)]
    return '\n'.join(part for part in parts if part)


def _expectations(
    lines: Sequence[Line], columns: Sequence[tuple[str, str]], metric: str, modalities: int
) -> list[list[str]]:
    found = []
    for rate in RATES:
        row: list[float | None] = []
        for column in columns:
            own = {
                line['name']: line['metrics'][metric] for line in lines
                if (line.get('model', ''), line['rule']) == column
            }  # fmt: skip
            # In the model's order, in which failures are named.
            names = list(dict.fromkeys(m for line in lines for m in line.get('trust', ())))
            known = failures_of('emm', names) if len(names) == modalities else []
            scores = {f: own[f.name] for f in known if f.name in own}
            complete = bool(known) and len(scores) == len(known) and 'clean' in own
            row.append(expectation(own['clean'], scores, modalities, rate) if complete else None)
        if any(value is not None for value in row):
            found.append([f'expected, each missing at {rate:.0%}', *map(_text, row)])
    return found


def _calibration(
    lines: Sequence[Line], titles: Sequence[str], columns: Sequence[tuple[str, str]]
) -> str:
    clean = {
        (line.get('model', ''), line['rule']): line for line in lines if line['protocol'] == 'clean'
    }
    violations: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if 'cml_violations' in line:
            key = line.get('model', ''), line['rule']
            violations.setdefault(key, []).append(line['cml_violations'])
    head = ['clean', 'ECE', 'class-wise ECE', 'AURC', 'accuracy at 90 %', 'CML violations']
    rows = [head, ['---'] * len(head)]
    for title, column in zip(titles, columns):
        line = clean.get(column)
        if line is None or 'ece' not in line:  # an image is not sure of anything
            continue
        found = violations.get(column)
        rows.append(
            [
                title,
                *(f'{100 * line[k]:.1f}' for k in ('ece', 'classwise_ece', 'aurc')),
                f'{100 * line["accuracy_at_90"]:.1f}',
                f'{100 * statistics.mean(found):.1f}' if found else '-',
            ]
        )
    return _table(rows) if len(rows) > 2 else ''


def _alarms(lines: Sequence[Line]) -> str:
    told = [line for line in lines if 'alarms' in line]
    if not told:
        return ''
    modalities = list(told[0]['trust'])
    located = ['AUROC of the map'] if any('map_auroc' in line for line in told) else []
    head = ['alarm', 'raised, %', 'AUROC', 'FPR at 95 %', *(f'trust in {m}' for m in modalities)]
    head += located
    rows = [head, ['---'] * len(head)]
    for line in told:
        trust = [f'{line["trust"][m]:.2f}' for m in modalities]
        detected = [f'{line[k]:.3f}' if k in line else '-' for k in ('auroc', 'fpr95')]
        place = [f'{line["map_auroc"]:.3f}' if 'map_auroc' in line else '-' for _ in located]
        rows.append([line['name'], f'{100 * line["alarms"]:.0f}', *detected, *trust, *place])
    return _table(rows)


def _text(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f}'


def _table(rows: Sequence[Sequence[str]]) -> str:
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows) + '\n'
