"""Several configs, several seeds, one budget, one table."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mango_mm.comparison.columns import COSTS, HEADLINES, METRICS, TASK_METRICS
from mango_mm.comparison.paired import Difference, save_per_sample
from mango_mm.comparison.processes import Children
from mango_mm.files import append_line, component, locked, read_json_lines
from mango_mm.visualization.curves import read_scalars

__all__ = ['Run', 'compare', 'options_of', 'render_table']

SUBSET = '/'  # MissingModalityHook reports rgb/mIoU: the metric with RGB alone
SEED = '{seed}'  # in an option, or in what a suite needs
TESTED = 'tested.json'
# glibc gives every larger tensor back to the kernel and takes it again: a sixth of the time of a
# training on a CPU.
QUICK_MALLOC = {
    'MALLOC_MMAP_THRESHOLD_': '1000000000',
    'MALLOC_TRIM_THRESHOLD_': '10000000000',
}
TRAIN = (
    'import sys; from mango_mm.comparison.processes import end_with_parent; end_with_parent(); '
    'from mango_mm.comparison.compare import _train; _train(sys.argv[1:])'
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of a comparison: a config under a name, with overrides ``key=value``.

    Attributes:
        name: Of the row.
        config: The config file.
        options: Overrides. ``{NAME}`` stands for the work dir of a run named in ``after``,
            ``{seed}`` for the seed.
        after: Runs that have to be through before, of the same seed: teachers, pretraining.
        reports: Whether it validates; a pretraining need not, and is no row of the table.

    Raises:
        ValueError: If the name cannot be that of a folder.
    """

    name: str
    config: str
    options: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    reports: bool = True

    def __post_init__(self) -> None:
        component(self.name, 'the name of a run')


def compare(
    runs: Sequence[Run],
    seeds: Iterable[int],
    out: str | Path,
    *,
    jobs: int | None = None,
    threads: int = 1,
    options: Sequence[str] = (),
    test_best: bool = False,
) -> list[dict[str, Any]]:
    """Train every run with every seed, each in a process of its own.

    What ``out/results.jsonl`` holds is not run again; an interrupted run resumes. A run that
    fails does not stop the others, but those that come ``after`` it. Only one comparison at a
    time works in ``out``, and its trainings end when it does, even by ``kill -9``.

    Args:
        runs: What to compare. A run stands behind those that it comes after.
        seeds: Of each.
        out: Folder for work dirs and results.
        jobs: Processes at a time; None: one, or one per GPU.
        threads: Threads of each.
        options: Overrides for all runs.
        test_best: Report, instead of the last validation, a test of the checkpoint that
            validation found best; the config must save it (``save_best``).

    Returns:
        One dict per run and seed that were asked for: its metrics, and its duration in seconds.

    Raises:
        ValueError: If ``out`` holds a result of other options, one of a validation where the best
            checkpoint is to be tested or the reverse, or one twice, or is in use; if ``after``
            names no run before; if seeds are given twice or counts are not positive.
        RuntimeError: If trainings failed; names their logs.
    """
    out, seeds = Path(out), list(seeds)
    for name, count in (('jobs', jobs), ('threads', threads)):
        if count is not None and count < 1:
            raise ValueError(f'{name} must be positive; got {count}.')
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f'seeds must differ, or a spread would be none; got {twice} twice.')
    out.mkdir(parents=True, exist_ok=True)
    children = Children()
    with locked(out / '.lock', f'the folder {out}'), children.ended_on_errors():
        return _compare(runs, seeds, out, jobs, threads, options, children, test_best=test_best)


def _compare(
    runs: Sequence[Run],
    seeds: Sequence[int],
    out: Path,
    jobs: int | None,
    threads: int,
    options: Sequence[str],
    children: Children,
    *,
    test_best: bool,
) -> list[dict[str, Any]]:
    results = out / 'results.jsonl'
    lines, said = read_json_lines(results) if results.exists() else ([], [])
    for message in said:
        print(f'{message} That run is done again.', flush=True)
    _check(runs, lines, options, results, test_best=test_best)
    done = {(line['name'], line['seed']) for line in lines}
    todo = [(run, seed) for seed in seeds for run in runs if (run.name, seed) not in done]
    lock = threading.Lock()
    devices = _devices(jobs)
    futures: dict[tuple[str, int], Future[None]] = {}

    def work(run: Run, seed: int) -> None:
        for name in run.after:
            if (name, seed) in futures and futures[name, seed].exception():
                raise RuntimeError(f'{run.name}, seed {seed}: left out, because {name} failed')
        with _taken(devices) as device:
            try:
                line = _run(
                    run, seed, out, threads, options, children, test_best=test_best, device=device
                )
            except RuntimeError as error:
                print(f'FAILED {error}', flush=True)
                raise
        with lock:
            lines.append(line)
            append_line(results, json.dumps(line))
            key = next((key for key in (*HEADLINES, *METRICS) if key in line), None)
            score = f'{key} {line[key]:.{METRICS[key][1]}f}' if key else 'done'
            print(
                f'[{len(lines)}/{len(done) + len(todo)}] {run.name}, seed {seed}: {score} in '
                f'{line["seconds"]:.0f} s',
                flush=True,
            )

    with ThreadPoolExecutor(devices.qsize()) as pool, _ended(pool, children):
        for run, seed in todo:
            futures[run.name, seed] = pool.submit(work, run, seed)
        for future in futures.values():
            future.exception()  # waits; here, so that Ctrl-C is met where children are ended
    failures = [str(f.exception()) for f in futures.values() if f.exception()]
    if failures:
        raise RuntimeError('\n'.join(failures))
    asked = {run.name for run in runs}
    return [line for line in lines if line['seed'] in seeds and line['name'] in asked]


@contextlib.contextmanager
def _ended(pool: ThreadPoolExecutor, children: Children) -> Any:
    """On the way out by an error: what has not begun is dropped, what runs is ended."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        children.end()
        raise


def _check(
    runs: Sequence[Run],
    lines: Sequence[Mapping[str, Any]],
    options: Sequence[str],
    where: Path = Path('results.jsonl'),
    *,
    test_best: bool = False,
) -> None:
    """Raise if results are of other runs than these, or runs in no order that works."""
    known: dict[str, Run] = {}
    for run in runs:
        missing = [name for name in run.after if name not in known]
        if missing:
            raise ValueError(f'{run.name} comes after {missing}, which must be listed before it.')
        if run.name in known:
            raise ValueError(f'two runs are named {run.name!r}.')
        known[run.name] = run
    found: set[tuple[str, int]] = set()
    for number, line in enumerate(lines, 1):
        lacking = [k for k in ('name', 'seed', 'options', 'config', 'seconds') if k not in line]
        if lacking:
            raise ValueError(f'{where}: result {number} has no {lacking}; remove its line.')
        known_run = known.get(line['name'])
        if known_run is None:
            continue
        if (line['name'], line['seed']) in found:
            raise ValueError(
                f'{where} has {line["name"]!r}, seed {line["seed"]}, twice: that is one run, not '
                'a spread of two. Remove one of the lines.'
            )
        found.add((line['name'], line['seed']))
        if line.get('test_best', test_best) != test_best and known_run.reports:
            raise ValueError(
                f'{where} has a result of {line["name"]!r}, seed {line["seed"]}, that is '
                f'{"a test of the best checkpoint" if line["test_best"] else "the last validation"}'
                f': with test_best={test_best} a table would hold both. Take another folder.'
            )
        wanted = set(options_of(known_run, options))
        if {*line['options']} != wanted or Path(line['config']).name != Path(known_run.config).name:
            differ = sorted({*line['options']} ^ wanted) or [line['config'], known_run.config]
            raise ValueError(
                f'{where} has a result of {line["name"]!r}, seed {line["seed"]}, with another '
                f'config or other options ({differ}). Take another folder, or remove its line.'
            )


def options_of(run: Run, options: Sequence[str]) -> list[str]:
    """All overrides of a run; those of a validation that it does not have are left out."""
    unused = () if run.reports else ('val_', 'test_')
    return [*(o for o in options if not o.startswith(unused)), *run.options]


def _devices(jobs: int | None) -> queue.SimpleQueue[str | None]:
    """What runs take turns at: GPUs, by their number, or mere places."""
    import torch

    gpus: list[str | None] = [str(i) for i in range(torch.cuda.device_count())]
    count = jobs or max(1, len(gpus))
    places: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for i in range(count):
        places.put(gpus[i % len(gpus)] if gpus else None)
    return places


@contextlib.contextmanager
def _taken(devices: queue.SimpleQueue[str | None]) -> Any:
    device = devices.get()
    try:
        yield device
    finally:
        devices.put(device)


def _run(
    run: Run,
    seed: int,
    out: Path,
    threads: int,
    options: Sequence[str],
    children: Children,
    *,
    test_best: bool,
    device: str | None,
) -> dict[str, Any]:
    work_dir = out / run.name / f'seed{seed}'
    work_dir.mkdir(parents=True, exist_ok=True)
    given = options_of(run, options)
    test_best = test_best and run.reports
    overrides = {f'randomness.seed={seed}': False}
    for option in given:
        filled = _filled(option, run.after, out, seed)
        overrides[filled] = filled != option  # a path is taken as it is, commas and all
    start = time.monotonic()
    how = 'test-best' if test_best else 'validate'
    command = [sys.executable, '-W', 'ignore', '-c', TRAIN, run.config, str(work_dir), how]
    with open(work_dir / 'stdout.txt', 'a') as log:
        status = children.run(
            [*command, json.dumps(overrides)],
            log,
            {
                **QUICK_MALLOC,
                **os.environ,
                'OMP_NUM_THREADS': str(threads),
                **({} if device is None else {'CUDA_VISIBLE_DEVICES': device}),
            },
        )
    if status:
        raise RuntimeError(f'{run.name}, seed {seed}: training failed; see {work_dir}/stdout.txt')
    logged = read_scalars(work_dir) if run.reports else []
    validations = [line for line in logged if not TASK_METRICS.keys().isdisjoint(line)]
    if run.reports and not validations:
        raise RuntimeError(f'{run.name}, seed {seed}: {work_dir} holds no validation.')
    last = validations[-1] if validations else {}
    if test_best:
        last = json.loads((work_dir / TESTED).read_text())
    return {
        'name': run.name,
        'config': str(run.config),
        'seed': seed,
        'options': given,
        'test_best': test_best,
        'seconds': round(time.monotonic() - start, 1),
        **{key: float(value) for key, value in last.items() if _metric(key) in METRICS},
    }


def _metric(key: str) -> str:
    """The metric of ``rgb/mIoU`` is mIoU."""
    return key.rpartition(SUBSET)[2]


def _title(key: str) -> str:
    subset, _, metric = key.rpartition(SUBSET)
    return f'{METRICS[metric][0]}, {subset} alone' if subset else METRICS[metric][0]


def _filled(option: str, after: Sequence[str], out: Path, seed: int) -> str:
    for name in after:
        option = option.replace(f'{{{name}}}', str((out / name / f'seed{seed}').resolve()))
    return option.replace(SEED, str(seed))


def _train(arguments: list[str]) -> None:
    """The child process: config, work dir, what to report, overrides."""
    from mango_mm.apis.dict_action import parse_value
    from mango_mm.apis.run import load_config, run_test, train

    config, work_dir, how, overrides = arguments
    options = {}
    for override, literal in json.loads(overrides).items():
        key, _, value = override.partition('=')
        options[key] = value if literal else parse_value(value)
    # A child of a parent that was killed a moment ago may still be in there.
    with locked(Path(work_dir) / '.lock', f'the work dir {work_dir}', wait=True):
        resume = (Path(work_dir) / 'last_checkpoint').exists()
        runner = train(config, work_dir=work_dir, options=options, resume=resume, new_keys=False)
        if how == 'validate':
            evaluator = getattr(runner.val_loop, 'evaluator', None)  # a pretraining has no loop
            save_per_sample(work_dir, getattr(evaluator, 'metrics', ()))
        if how == 'test-best':
            best = sorted(Path(work_dir).glob('best_*.pth'))
            if len(best) != 1:
                raise FileNotFoundError(f'{work_dir} holds {len(best)} best_*.pth; set save_best.')
            read = load_config(config, work_dir=Path(work_dir) / 'test', options=options)
            tester, metrics = run_test(read, best[0])
            save_per_sample(work_dir, getattr(tester.test_loop.evaluator, 'metrics', ()))
            (Path(work_dir) / TESTED).write_text(json.dumps(metrics))


def render_table(
    lines: Sequence[dict[str, Any]],
    names: Iterable[str],
    costs: Mapping[str, Mapping[str, float]] | None = None,
    differences: Mapping[str, Difference] | None = None,
    baseline: str = '',
) -> str:
    """A Markdown table: mean and, over several seeds, standard deviation.

    Args:
        lines: Results, as :func:`compare` returns them.
        names: Rows, in this order; what has no result is left out.
        costs: What :func:`~mango_mm.comparison.cost.measure_costs` returned, for further columns.
        differences: To the baseline, of some rows, for a column.
        baseline: Its name.
    """
    lines = [line for line in lines if not METRICS.keys().isdisjoint(line)]
    columns = [key for key in METRICS if any(key in line for line in lines)]
    subsets = {key: None for line in lines for key in line if _metric(key) in HEADLINES}
    columns += [key for key in subsets if SUBSET in key]
    priced = [key for key in COSTS if any(key in row for row in (costs or {}).values())]
    differs = [f'difference to {baseline} [95 %]'] if differences else []
    scored, cost = [_title(key) for key in columns], [COSTS[key][0] for key in priced]
    header = ['fusion', 'seeds', *scored, *differs, *cost, 's per run']
    rows = [header, ['---'] * len(header)]
    for name in names:
        of = [line for line in lines if line['name'] == name]
        if not of:
            continue
        cells = [name, str(len(of))]
        for key in columns:
            values, digits = [line[key] for line in of if key in line], METRICS[_metric(key)][1]
            spread = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
            cells.append(f'{statistics.mean(values):.{digits}f}{spread}' if values else '-')
        if differs:
            cells.append(str((differences or {}).get(name, '-')))
        for key in priced:
            value = (costs or {}).get(name, {}).get(key)
            cells.append('-' if value is None else f'{value:.{COSTS[key][1]}f}')
        cells.append(f'{statistics.mean(line["seconds"] for line in of):.0f}')
        rows.append(cells)
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
