"""Train several configs with several seeds at one budget and tabulate the result.

Every run is a process of ``tools/train.py``; what has been run is in a JSON-lines file and
is not run again, an interrupted run resumes. The table gives the mean and the standard
deviation over seeds of the last validation.

Example:
    python tools/benchmark/compare.py --out work_dirs/compare --seeds 0 1 2 --jobs 2 \\
        --run concat=configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py \\
        --run mango=configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py \\
        --run mango-no-nll=configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py:model.neck.nll_weight=0
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mango_mm.visualization.curves import read_scalars

TRAIN = Path(__file__).resolve().parents[1] / 'train.py'
METRICS = ('aAcc', 'mAcc', 'mIoU', 'nll_per_dim')


def parse_run(text: str) -> tuple[str, str, list[str]]:
    """``name=config[:key=value ...]`` to its parts."""
    name, _, rest = text.partition('=')
    config, _, options = rest.partition(':')
    if not name or not Path(config).is_file():
        raise SystemExit(f'--run must be NAME=CONFIG[:KEY=VALUE ...] of a file; got {text!r}.')
    return name, config, options.split()


def run_one(
    name: str, config: str, seed: int, options: list[str], out: Path, threads: int
) -> dict[str, Any]:
    """Train one config with one seed and return its last validation."""
    work_dir = out / name / f'seed{seed}'
    work_dir.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    command = [sys.executable, '-W', 'ignore', str(TRAIN), config, '--work-dir', str(work_dir)]
    if (work_dir / 'last_checkpoint').exists():
        command.append('--resume')
    command += ['--cfg-options', f'randomness.seed={seed}', *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    with open(work_dir / 'stdout.txt', 'a') as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        raise SystemExit(f'{name}, seed {seed}: failed; see {work_dir}/stdout.txt')
    last = [line for line in read_scalars(work_dir) if 'mIoU' in line][-1]
    metrics = {key: float(last[key]) for key in METRICS if key in last}
    seconds = round(time.monotonic() - start, 1)
    return {'name': name, 'config': config, 'seed': seed, 'options': options,
            'seconds': seconds, **metrics}  # fmt: skip


def render(lines: list[dict[str, Any]], names: list[str]) -> str:
    """A Markdown table, mean and standard deviation over seeds."""
    rows = ['| fusion | seeds | pixel acc | mean acc | mIoU | NLL / dim (nats) | s per run |',
            '|---|---|---|---|---|---|---|']  # fmt: skip
    for name in names:
        of = [line for line in lines if line['name'] == name]
        if not of:
            continue
        cells = []
        for key in METRICS:
            values = [line[key] for line in of if key in line]
            spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
            cells.append(f'{statistics.mean(values):.2f}{spread}' if values else '-')
        seconds = statistics.mean(line['seconds'] for line in of)
        rows.append(f'| {name} | {len(of)} | {" | ".join(cells)} | {seconds:.0f} |')
    return '\n'.join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--run', action='append', required=True, metavar='NAME=CONFIG[:K=V ...]')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and results')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--threads', type=int, default=1, help='threads of each run')
    parser.add_argument('--cfg-options', nargs='*', default=[], help='for every run')
    args = parser.parse_args()
    runs = [parse_run(text) for text in args.run]
    args.out.mkdir(parents=True, exist_ok=True)
    results = args.out / 'results.jsonl'
    lines = [json.loads(x) for x in results.read_text().splitlines()] if results.exists() else []
    known = {(line['name'], line['seed']) for line in lines}
    lock = threading.Lock()
    todo = [(r, s) for s in args.seeds for r in runs if (r[0], s) not in known]

    def work(job: tuple[tuple[str, str, list[str]], int]) -> None:
        (name, config, options), seed = job
        line = run_one(name, config, seed, [*args.cfg_options, *options], args.out, args.threads)
        with lock:
            lines.append(line)
            with open(results, 'a') as file:
                file.write(json.dumps(line) + '\n')
            print(f'[{len(lines)}] {name} seed {seed}: mIoU {line["mIoU"]:.2f} '
                  f'in {line["seconds"]:.0f} s', flush=True)  # fmt: skip

    with ThreadPoolExecutor(args.jobs) as pool:
        for future in [pool.submit(work, job) for job in todo]:
            future.result()
    table = render(lines, [name for name, _, _ in runs])
    (args.out / 'table.md').write_text(table + '\n')
    print(table)


if __name__ == '__main__':
    main()
