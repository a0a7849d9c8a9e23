"""Checks of failing sensors of several seeds: their mean, and paired differences of the rules.

All rules of one run share its experts, and all runs the same samples and failures. So rules are
compared within each run, and the interval is over runs (Student's t), not over samples.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_mm.analysis.failure_tables import mean_over_failures
from mango_mm.analysis.robustness import headline
from mango_mm.hosts import require_host

__all__ = ['mean_lines', 'read_failures', 'render_differences']

Line = dict[str, Any]
FILE = 'failures.json'
OWN = ('model', 'name', 'rule')  # which line of a run is meant


def read_failures(path: str | Path) -> list[Line]:
    """The lines of one run of ``robustness.py --protocol``.

    Args:
        path: Its ``--out``, or the ``failures.json`` in there.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is none of that tool's.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f'{file} does not exist: tools/analyse/robustness.py --protocol writes it.'
        )
    try:
        lines: list[Line] = json.loads(file.read_text())
        found = [line for line in lines if line['metrics'] and all(line[k] for k in OWN)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{file} is not what robustness.py --protocol writes: {error!r}') from None
    if not found or len(found) < len(lines):
        raise ValueError(f'{file} has {len(lines)} lines, of which {len(found)} have scores.')
    return found


def mean_lines(runs: Sequence[Sequence[Line]]) -> list[Line]:
    """One line of every rule and failure, every number its mean over the runs.

    Args:
        runs: Of each seed, what :func:`read_failures` gives.

    Raises:
        ValueError: If the runs differ in rules or failures.
    """
    if not runs:
        raise ValueError('there must be a run; got none.')
    by_key = [{tuple(line[k] for k in OWN): line for line in run} for run in runs]
    for number, found in enumerate(by_key[1:], start=2):
        differ = sorted(set(found) ^ set(by_key[0]))
        if differ:
            raise ValueError(
                f'runs must have the same failures and rules; run {number} and the first differ '
                f'in {differ[:3]}, {len(differ)} in all.'
            )
    return [_mean([found[key] for found in by_key]) for key in by_key[0]]


def _mean(values: Sequence[Any]) -> Any:
    """The mean of numbers, of dicts key by key; what is neither is alike in all, or the first."""
    first = values[0]
    if isinstance(first, Mapping):
        return {k: _mean([v[k] for v in values]) for k in first if all(k in v for v in values)}
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        return first
    return statistics.mean(values)


def render_differences(runs: Sequence[Sequence[Line]], rule: str) -> str:
    """Markdown: every rule with working sensors and over failures, and what one has more than it.

    Args:
        runs: Of each seed, of one model.
        rule: The one.

    Raises:
        ValueError: If there is no such rule.
    """
    rules = list(dict.fromkeys(line['rule'] for line in runs[0]))
    if rule not in rules:
        raise ValueError(f'rules of these runs are {rules}; got {rule!r}.')
    metric = headline(runs[0][0]['metrics'])
    groups = list(dict.fromkeys(line['protocol'] for line in runs[0]))
    scores = {
        (r, g): [
            mean_over_failures([x for x in run if x['rule'] == r and x['protocol'] == g], metric)
            for run in runs
        ]
        for r in rules
        for g in groups
    }
    head = [f'{metric}, {len(runs)} seeds', *groups, *(f'{g}: {rule} - it' for g in groups)]
    rows = [head, ['---'] * len(head)]
    for r in rules:
        means = [_spread(scores[r, g]) for g in groups]
        more = [
            '' if r == rule else _interval([a - b for a, b in zip(scores[rule, g], scores[r, g])])
            for g in groups
        ]
        rows.append([f'**{r}**' if r == rule else r, *means, *more])
    alarms = [x['alarms'] for run in runs for x in run if x['name'] == 'clean' and 'alarms' in x]
    text = '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows) + '\n'
    if alarms:
        by_run = ', '.join(f'{100 * a:.1f}' for a in alarms)
        text += f'\nfalse alarms, %: {100 * statistics.mean(alarms):.1f} ({by_run})\n'
    return text


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f'{values[0]:.2f}'
    return f'{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}'


def _interval(values: Sequence[float]) -> str:
    """Mean with Student's 95 % interval."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f'{mean:+.2f}, one seed'
    require_host('scipy', 'intervals over seeds')
    from scipy.stats import t

    wide = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f'{mean:+.2f} [{mean - wide:+.2f}, {mean + wide:+.2f}]'
