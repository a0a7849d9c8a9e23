"""Suites: which runs a comparison has, with which seeds and budget, in one file."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mango_mm.comparison.compare import SEED, Run
from mango_mm.files import component

__all__ = ['Suite', 'load_suite']

MAX_NODES = 10_000  # values of a suite, every alias counted where it stands
PAIRED = ('mIoU', 'macro_f1_tuned')  # what metrics keep of every sample
ROW_KEYS = {'name', 'config', 'options', 'after', 'reports'}


@dataclasses.dataclass(frozen=True)
class Suite:
    """A comparison, as a file describes it.

    Attributes:
        title: Heading of the table.
        runs: Its rows, and what they need before.
        seeds: Of every run.
        options: Overrides of every run: the budget.
        headline: The metric that is drawn.
        test_best: See :func:`~mango_mm.comparison.compare.compare`.
        baseline: The row to which paired differences are taken; empty: none.
        needs: Files that must exist, each with the command that makes it; of every seed, where
            ``{seed}`` stands in the name.
    """

    title: str
    runs: tuple[Run, ...]
    seeds: tuple[int, ...] = (0,)
    options: tuple[str, ...] = ()
    headline: str = 'mIoU'
    test_best: bool = False
    baseline: str = ''
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def needed(self, seeds: Sequence[int]) -> list[tuple[Path, list[str]]]:
        """What these seeds need, in order: a file and the words of the command that makes it."""
        found = {
            path.replace(SEED, str(seed)): command.replace(SEED, str(seed))
            for seed in seeds
            for path, command in self.needs.items()
        }
        return [(Path(path), shlex.split(command)) for path, command in found.items()]


def load_suite(path: str | Path) -> Suite:
    """Read a suite, a YAML file with the attributes of :class:`Suite` as keys.

    Each of its ``runs`` has the attributes of :class:`~mango_mm.comparison.compare.Run` as keys;
    ``options`` are mappings, of the suite and of a run.

    Raises:
        FileNotFoundError: If the file, or a config that it names, does not exist.
        ValueError: If a key is unknown or missing; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'suite {path} does not exist.')
    try:
        given = yaml.safe_load(path.read_bytes())
        _check_size(given)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'suite {path} must be YAML; {" ".join(str(error).split())}.') from error
    if not isinstance(given, dict):
        raise ValueError(f'suite {path} must hold keys and values; got {type(given).__name__}.')
    fields = {field.name for field in dataclasses.fields(Suite)}
    _check_keys(f'suite {path}', given, fields, {'title', 'runs'})
    for key, kind in (('runs', list), ('seeds', list), ('options', dict), ('needs', dict)):
        if key in given and not isinstance(given[key], kind):
            raise ValueError(
                f'suite {path}: {key} must be a {kind.__name__}; got {type(given[key]).__name__}.'
            )
    if not isinstance(given['title'], str):
        raise ValueError(f'suite {path}: title must be text; got {given["title"]!r}.')
    runs = []
    for i, row in enumerate(given['runs']):
        where = f'suite {path}, run {i + 1}'
        if not isinstance(row, dict):
            raise ValueError(f'{where} must hold keys and values; got {row!r}.')
        _check_keys(where, row, ROW_KEYS, {'name', 'config'})
        for key, kind in (('config', str), ('options', dict), ('after', list)):
            if not isinstance(row.get(key, kind()), kind):
                raise ValueError(f'{where}: {key} must be a {kind.__name__}; got {row[key]!r}.')
        if '\0' in row['config'] or not Path(row['config']).is_file():
            raise FileNotFoundError(f'{where}: config {row["config"]} does not exist.')
        runs.append(
            Run(
                component(str(row['name']), f'{where}: name'),
                row['config'],
                _options(row.get('options')),
                tuple(row.get('after', ())),
                bool(row.get('reports', True)),
            )
        )
    baseline = given.get('baseline', '')
    if baseline and baseline not in [run.name for run in runs]:
        raise ValueError(
            f'suite {path}: baseline must be one of {[run.name for run in runs]}; got {baseline!r}.'
        )
    if baseline and given.get('headline', 'mIoU') not in PAIRED:
        raise ValueError(
            f'suite {path}: differences to a baseline are of {PAIRED}; the headline is '
            f'{given["headline"]!r}.'
        )
    others = {key: value for key, value in given.items() if key not in ('runs', 'options', 'seeds')}
    return Suite(
        runs=tuple(runs),
        options=_options(given.get('options')),
        seeds=tuple(given.get('seeds', (0,))),
        **others,
    )


def _check_size(given: Any) -> None:
    """Raise a YAMLError if aliases make a small file a large structure, or one without end."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if not isinstance(node, (dict, list)):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = MAX_NODES  # met again inside itself: without end
            children = list(node.values()) if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(map(size, children))
        return sizes[id(node)]

    if size(given) > MAX_NODES:
        raise yaml.YAMLError(f'aliases blow it up to more than {MAX_NODES} values')


def _options(given: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(f'{key}={value}' for key, value in (given or {}).items())


def _check_keys(where: str, given: Mapping[str, Any], known: set[str], wanted: set[str]) -> None:
    unknown, missing = sorted(set(given) - known), sorted(wanted - set(given))
    if unknown or missing:
        raise ValueError(
            f'{where}: unknown keys {unknown}, missing keys {missing}; known are {sorted(known)}.'
        )
