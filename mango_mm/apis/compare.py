"""Several configs, several seeds, one budget, one table."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mango_mm.visualization.curves import read_scalars

__all__ = ['Run', 'compare', 'render_table']

# What a validation may report: title and digits. A table has the columns that its runs report.
TASK_METRICS = {
    'aAcc': ('pixel acc', 2),
    'mAcc': ('mean acc', 2),
    'mIoU': ('mIoU', 2),
    'MAE': ('MAE', 4),
    'MSE': ('MSE', 4),
    'RMSE': ('RMSE', 4),
    'micro_f1': ('micro F1', 2),
    'macro_f1': ('macro F1', 2),
    'weighted_f1': ('weighted F1', 2),
    'samples_f1': ('samples F1', 2),
    'micro_f1_tuned': ('micro F1, tuned', 2),
    'macro_f1_tuned': ('macro F1, tuned', 2),
    'mAP': ('mAP', 2),
    'FID': ('FID', 2),
    'KID': ('KID', 4),
    'frechet_random_features': ('Frechet, random features', 3),
    'kernel_random_features': ('kernel, random features', 3),
}
METRICS = {**TASK_METRICS, 'nll_per_dim': ('NLL / dim (nats)', 2)}
HEADLINES = ('mIoU', 'MAE', 'macro_f1')  # one of them stands for a run while it goes on
TESTED = 'tested.json'
TRAIN = 'import sys; from mango_mm.apis.compare import _train; _train(sys.argv[1:])'


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of a comparison: a config under a name, with overrides ``key=value``."""

    name: str
    config: str
    options: tuple[str, ...] = ()


def compare(
    runs: Sequence[Run],
    seeds: Iterable[int],
    out: str | Path,
    *,
    jobs: int = 1,
    threads: int = 1,
    options: Sequence[str] = (),
    test_best: bool = False,
) -> list[dict[str, Any]]:
    """Train every run with every seed, each in a process of its own.

    What ``out/results.jsonl`` holds is not run again; an interrupted run resumes.

    Args:
        runs: What to compare.
        seeds: Of each.
        out: Folder for work dirs and results.
        jobs: Processes at a time.
        threads: Threads of each.
        options: Overrides for all runs.
        test_best: Report, instead of the last validation, a test of the checkpoint that
            validation found best; the config must save it (``save_best``).

    Returns:
        One dict per run and seed: its metrics, and its duration in seconds.

    Raises:
        RuntimeError: If a training fails; names its log.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    results = out / 'results.jsonl'
    lines = [json.loads(x) for x in results.read_text().splitlines()] if results.exists() else []
    done = {(line['name'], line['seed']) for line in lines}
    todo = [(run, seed) for seed in seeds for run in runs if (run.name, seed) not in done]
    lock = threading.Lock()

    def work(run: Run, seed: int) -> None:
        line = _run(run, seed, out, threads, options, test_best=test_best)
        with lock:
            lines.append(line)
            with open(results, 'a') as file:
                file.write(json.dumps(line) + '\n')
            key = next(key for key in (*HEADLINES, *METRICS) if key in line)
            print(
                f'[{len(lines)}/{len(done) + len(todo)}] {run.name}, seed {seed}: '
                f'{key} {line[key]:.{METRICS[key][1]}f} in {line["seconds"]:.0f} s',
                flush=True,
            )

    with ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(work, run, seed) for run, seed in todo]:
            future.result()
    return lines


def _run(
    run: Run, seed: int, out: Path, threads: int, options: Sequence[str], *, test_best: bool
) -> dict[str, Any]:
    work_dir = out / run.name / f'seed{seed}'
    work_dir.mkdir(parents=True, exist_ok=True)
    overrides = [f'randomness.seed={seed}', *options, *run.options]
    start = time.monotonic()
    how = 'test-best' if test_best else 'validate'
    command = [sys.executable, '-W', 'ignore', '-c', TRAIN, run.config, str(work_dir), how]
    with open(work_dir / 'stdout.txt', 'a') as log:
        process = subprocess.run(
            [*command, *overrides],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
        )
    if process.returncode:
        raise RuntimeError(f'{run.name}, seed {seed}: training failed; see {work_dir}/stdout.txt')
    validations = [
        line for line in read_scalars(work_dir) if not TASK_METRICS.keys().isdisjoint(line)
    ]
    if not validations:
        raise RuntimeError(f'{run.name}, seed {seed}: {work_dir} holds no validation.')
    last = json.loads((work_dir / TESTED).read_text()) if test_best else validations[-1]
    return {
        'name': run.name,
        'config': str(run.config),
        'seed': seed,
        'options': overrides[1:],
        'seconds': round(time.monotonic() - start, 1),
        **{key: float(last[key]) for key in METRICS if key in last},
    }


def _train(arguments: list[str]) -> None:
    """The child process: config, work dir, what to report, overrides."""
    from mmengine.config import DictAction

    from mango_mm.apis.run import test, train

    config, work_dir, how, *overrides = arguments
    options = {}
    for override in overrides:
        key, _, value = override.partition('=')
        options[key] = DictAction._parse_iterable(value)
    resume = (Path(work_dir) / 'last_checkpoint').exists()
    train(config, work_dir=work_dir, options=options, resume=resume)
    if how == 'test-best':
        best = sorted(Path(work_dir).glob('best_*.pth'))
        if len(best) != 1:
            raise FileNotFoundError(f'{work_dir} holds {len(best)} best_*.pth; set save_best.')
        metrics = test(config, best[0], work_dir=Path(work_dir) / 'test', options=options)
        (Path(work_dir) / TESTED).write_text(json.dumps(metrics))


def render_table(lines: Sequence[dict[str, Any]], names: Iterable[str]) -> str:
    """A Markdown table: mean and, over several seeds, standard deviation."""
    columns = [key for key in METRICS if any(key in line for line in lines)]
    header = ['fusion', 'seeds', *(METRICS[key][0] for key in columns), 's per run']
    rows = [header, ['---'] * len(header)]
    for name in names:
        of = [line for line in lines if line['name'] == name]
        if not of:
            continue
        cells = [name, str(len(of))]
        for key in columns:
            values, digits = [line[key] for line in of if key in line], METRICS[key][1]
            spread = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
            cells.append(f'{statistics.mean(values):.{digits}f}{spread}' if values else '-')
        cells.append(f'{statistics.mean(line["seconds"] for line in of):.0f}')
        rows.append(cells)
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
