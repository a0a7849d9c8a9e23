"""What `make gpu` runs: everything a GPU can say, in ten minutes, on one page.

Every step is a process of its own with a limit; one that fails is reported and the others go on.
Torch and numpy are enough for the kernels; the tests need pytest, the other steps the toolboxes,
and a step that lacks something is reported as failed with what it said.

Example:
    python tools/benchmark/gpu_report.py --out docs/benchmarks
    python tools/benchmark/gpu_report.py --out /tmp/gpu --device cpu --quick
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py'
ZOO = (
    'configs/concat/concat_small*mini-rooms-72x96.py',
    'configs/mango/mango-*mini-rooms-72x96.py',
)

STEPS = ('tests on the device', 'kernels and speed', 'costs of configs', 'a training with amp')


def steps(args: argparse.Namespace, work: Path) -> dict[str, tuple[list[str], int]]:
    """Command and seconds of each."""
    tool, quick = [sys.executable, '-W', 'ignore'], ['--quick'] if args.quick else []
    iterations = 4 if args.quick else 100
    return {
        'tests on the device': (
            [*tool, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
             'tests/fusion/test_on_devices.py'], 120),
        'kernels and speed': (
            [*tool, 'tools/benchmark/gpu.py', '--out', str(args.out), '--device', args.device,
             *quick], 240),
        'costs of configs': (
            [*tool, 'tools/benchmark/zoo.py', '--out', str(work), '--device', args.device,
             '--precision', 'fp32', 'amp', '--rounds', '2' if args.quick else '10', '--seconds',
             '0' if args.quick else '1', '--configs', *(ZOO[:1] if args.quick else ZOO)], 120),
        'a training with amp': (
            [*tool, 'tools/train.py', CONFIG, '--work-dir', str(work / 'run'),
             *(['--amp'] if args.device == 'cuda' else []), '--cfg-options',
             f'train_cfg.max_iters={iterations}', f'train_cfg.val_interval={iterations}',
             'train_dataloader.num_workers=2'], 180),
    }  # fmt: skip


def run(command: list[str], seconds: int, data: Path) -> dict:
    """Whether it went well, how long it took, and its last lines."""
    start = time.monotonic()
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'MANGO_MINI_ROOMS': str(data)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, timeout=seconds, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b''
        output = said.decode(errors='replace') if isinstance(said, bytes) else said
        status = f'stopped after {seconds} s'
    lines = [line.strip()[:200] for line in output.replace('\r', '\n').splitlines() if line.strip()]
    return {
        'ok': status == 0,
        'status': status,
        'seconds': round(time.monotonic() - start),
        'said': lines[-8:],
    }


def render(found: dict) -> str:
    """The page."""
    lines = [
        '# On a GPU', '', f'{found["device"]}, torch {found["torch"]}; written by `make gpu`.', '',
        '| step | result | seconds |', '|---|---|---|',
    ]  # fmt: skip
    for name, step in found['steps'].items():
        result = 'passed' if step['ok'] else f'FAILED ({step["status"]})'
        lines.append(f'| {name} | {result} | {step["seconds"]} |')
    for name, step in found['steps'].items():
        lines += ['', f'## {name[0].upper()}{name[1:]}', '', '```text', *step['said'], '```']
    return '\n'.join(lines) + '\n\n' + found.get('costs', '')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True, help='folder for gpu.md and gpu.json')
    parser.add_argument('--device', default='cuda')
    parser.add_argument(
        '--only', nargs='+', metavar='STEP', choices=STEPS, default=STEPS, help=', '.join(STEPS)
    )
    parser.add_argument('--quick', action='store_true', help='small sizes, for a try on a CPU')
    args = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f'gpu_report.py needs torch: {error}')
    if args.device == 'cuda' and not torch.cuda.is_available():
        sys.exit(
            'gpu_report.py needs a GPU that torch can use; torch.cuda.is_available() is False.'
        )
    args.out.mkdir(parents=True, exist_ok=True)
    name = torch.cuda.get_device_name() if args.device == 'cuda' else 'CPU'
    found: dict = {'device': name, 'torch': torch.__version__, 'steps': {}}
    with tempfile.TemporaryDirectory(prefix='mango_gpu_') as folder:
        work, data = Path(folder), Path(folder) / 'rooms'
        rooms = [sys.executable, '-W', 'ignore', 'tools/prepare/mini_rooms.py', str(data)]
        made = run(rooms, 120, data)
        if not made['ok']:
            found['steps']['generated rooms'] = made
        for title, (command, seconds) in steps(args, work).items():
            if title not in args.only:
                continue
            print(f'{title} (at most {seconds} s)', flush=True)
            found['steps'][title] = run(command, seconds, data)
            costs = work / 'zoo.md'
            if costs.is_file():
                found['costs'] = costs.read_text().replace('# What', '## What', 1)
            (args.out / 'gpu.md').write_text(render(found))
            last = found['steps'][title]
            print(f'  {"passed" if last["ok"] else "FAILED"}, {last["seconds"]} s', flush=True)
    failed = [title for title, step in found['steps'].items() if not step['ok']]
    print(json.dumps({'failed': failed, 'page': str(args.out / 'gpu.md')}))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
